"""Sentences that rooms below make otherwise than by raising them, named here so that each language has them (tools/messages.py).

They follow the name of a field (`must be at least 2 GiB`), or finish a state's message. A sentence that is missing here is shown in
English, never lost.
"""


def N_(text: str) -> str:  # noqa: N802 - The name that gettext's tools know.
    """Mark a message; `{}` stands for each value."""
    return text


SENTENCES = (
    # identity: accounts, passwords.
    N_("a name, as others will read it"),
    N_("at most {} characters"),
    N_("at least {} characters; a few words in a row make a good one"),
    N_("not your own name or e-mail"),
    N_("a character that cannot be shown"),
    N_("an address such as name@example.org"),
    N_("a language's code, such as en or fr"),
    N_("a text"),
    N_("3 to 40 of a-z, 0-9 and single dashes, not reserved"),
    N_("one of the lab's data classes"),
    # identity: tokens.
    N_("choose at least one"),
    N_("administrators alone"),
    N_("between 1 and {} days"),
    N_("1 to 30 of a-z, 0-9 and single dashes"),
    N_("viewer or member: owners are people"),
    # identity: photos.
    N_("at most 2 MB"),
    N_("at most 50 million pixels"),
    N_("a JPEG, PNG or WebP picture"),
    # backup: how backups stand.
    N_("no backups are made: `[backup] to` and `recipients` are not set"),
    N_("no backup was taken yet: `etabli backup now`"),
    N_("the last backup failed: {}"),
    N_("the last backup is {} days old"),
    N_("the last backup is old"),
    N_("a service's own dump failed in the last backup: its volume was copied as the disk had it"),
    # web: branding.
    N_("`{}` cannot be read: UTF-8 text of at most {} kB"),
    N_("`{}` cannot be read: at most {} kB"),
    N_("`{}` is not shown: {}"),
    N_("it is no PNG picture"),
    N_("it declares a document type"),
    N_("it is no SVG picture"),
    N_("it holds a script, or a page"),
    N_("it loads something from elsewhere"),
    # catalog: checks, sliders, patches.
    N_("may not be changed"),
    N_("must be a set of values"),
    N_("must be a list"),
    N_("must be text"),
    N_("must be yes or no"),
    N_("must be a whole number"),
    N_("must be a number"),
    N_("must be a number followed by `{}`"),
    N_("must be one of {}"),
    N_("is missing"),
    N_("is nothing that this chart knows"),
    N_("is not for people to set"),
    N_("skips members of the list"),
    N_("must have at least {}"),
    N_("must have at most {}"),
    N_("must match `{}`"),
    N_("must be at least {}"),
    N_("must be at most {}"),
    N_("must have at most {} characters"),
    N_("must not hold control characters"),
    N_("does not fit the chart's schema (`{}`)"),
    N_("must be `key: value` lines"),
    N_("must be a list, each line after a dash"),
    N_("is nothing that a launch link says"),
    N_("is not the path of a value"),
    N_("has text that is not between « and »"),
    # environments: how far a build is.
    N_("choosing the versions of `{}`"),
    N_("asking the package index"),
    N_("downloading {} packages"),
    N_("downloading {} packages, {} of {} MiB"),
    N_("installing {} packages"),
    N_("compiling"),
    N_("compiling {} modules"),
    N_("running `postBuild`"),
    N_("making the base: {}"),
    N_("not built yet"),
    N_("its build was interrupted; it will go on"),
    # services: quotas.
    N_("from 0 to {}"),
    N_("from 0 to 1048576 GiB"),
    N_("pause a service, ask for less, or ask an administrator for more"),
    # admin: announcements.
    N_("say something, in one language at least"),
    N_("must be after its beginning"),
    N_("a moment such as 2026-11-24T18:00"),
    # audit: what tampering looks like; a field of its page.
    N_("it is not the record that was copied to S3"),
    N_("a record that was copied to S3 is not there any more"),
    N_("records {} to {} are missing"),
    N_("it does not stand on the record before it"),
    N_("it was changed after it was written"),
    N_("its time was over"),
    N_("a day such as 2026-11-24"),
    # engines: why a service is where it is.
    N_("it waits for {}: {} before it; {} free of {}"),
    N_("it waits for {}: {} free of {}"),
    N_("it used more memory than it was given"),
    N_("its supervisor was killed"),
    N_("the machine was started again"),
    N_("it could not be started: {}"),
    N_("it could not be started"),
    N_("it ended well"),
    N_("it ended with exit code {}"),
    N_("the machine refuses: {}"),
    N_("the lab met an error of its own, and tries again"),
)
