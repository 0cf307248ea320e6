"""The JSON API, `/api/v1`: the use cases of the pages, for programs."""
