"""The command line, `fairtap`: results on stdout, one line on stderr where something is wrong, rc 0, 1 or 2."""

from __future__ import annotations

import sys

import typer

from api.commands import (
    acts,
    announcement,
    backup,
    calls,
    evidence,
    house,
    keys,
    link,
    my_draws,
    quorum,
    release,
    roster,
    subject,
)
from api.errors import CommandError

__all__ = ["app", "main"]

app = typer.Typer(
    name="fairtap",
    help="Records calls only as a works agreement permits, and shows it while it happens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(house.run)
app.command("init")(house.init)
app.command("doctor")(house.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("migrate")(backup.migrate)
app.command("keygen")(keys.keygen)
app.command("sign")(keys.sign)
app.command("enrol")(release.enrol)
app.command("release")(release.release)
app.command("listen")(keys.listen)
app.command("evidence")(evidence.evidence)
app.command("verify-recording")(evidence.verify_recording)
app.command("my-draws")(my_draws.my_draws)
app.command("quorum")(quorum.quorum)
app.command("erase")(subject.erase)
app.command("hold")(subject.hold)
app.command("unhold")(subject.unhold)
app.command("export")(subject.export)
app.command("explain")(calls.explain)
app.command("find")(calls.find)
app.command("ladder")(calls.ladder)
app.command("passthrough")(calls.passthrough)
app.command("testcall")(calls.testcall)
app.add_typer(roster.agent, name="agent")
app.add_typer(roster.token, name="token")
app.add_typer(acts.agreement, name="agreement")
app.add_typer(link.link, name="link")
app.add_typer(announcement.announcement, name="announcement")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its return code."""
    try:
        done = app(arguments, prog_name="fairtap", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except CommandError as error:
        return _fail(str(error), error.rc)
    except KeyboardInterrupt:
        return 130
    except typer.Abort:
        print(file=sys.stderr)  # the prompt stands there
        return _fail("nothing was entered, nothing was done; without a terminal, give what is asked for in a file", 2)
    except Exception as error:
        # wrong use, as the option parser tells it; its class differs between versions
        if not hasattr(error, "format_message"):
            raise
        said = error.format_message() or "see `fairtap --help`"
        return _fail(" ".join(said.split()), 2)


def _fail(message: str, rc: int) -> int:
    print(f"fairtap: {message}", file=sys.stderr)
    return rc


if __name__ == "__main__":
    sys.exit(main())
