"""The catalogue: charts, what their forms ask, and what they render. It knows nothing of what runs.

A catalogue entry is a Helm chart with a `values.schema.json`; the form, its checks and its defaults come from that schema, `x-onyxia`
keys included, with the names and the meaning that existing charts and launch links expect. No chart is named in this code.

It promises that a broken chart is listed as broken while the others go on, that a chart's author reaches neither the person's tokens
nor the lab (archives are unpacked by a strict reader, YAML and patterns are bounded, templates run in a killable process), that a
wrong value is named by its dotted path, and that a form tampered with is refused by the name of the field.
"""
