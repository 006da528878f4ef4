"""Double-click starter: makes the tool's own environment beside this file, once, then does the weekly round.

Standard library only. Where a folder `wheels` lies beside it, nothing is fetched.
"""

import subprocess
import sys
import venv
import webbrowser
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE / "council"
ENVIRONMENT = HERE / "environment"


def python() -> Path:
    """The environment's Python."""
    return ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def prepare() -> None:
    """Make the environment and put the newest wheel into it; done once for each wheel."""
    wheel = max(HERE.glob("fairtap_council-*.whl"), key=lambda path: path.name)
    done = ENVIRONMENT / f"{wheel.name}.done"
    if done.exists():
        return
    print("Preparing, once: this takes a minute.")
    venv.create(ENVIRONMENT, with_pip=True)
    wheels = HERE / "wheels"
    source = ["--no-index", "--find-links", str(wheels)] if wheels.is_dir() else []
    command = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *source, str(wheel)]
    subprocess.run(command, check=True)
    done.touch()


def tool(*arguments: str) -> int:
    """Run one command of the tool."""
    return subprocess.run([str(python()), "-m", "council", "--home", str(HOME), *arguments], check=False).returncode


def set_up() -> int:
    """Ask for what `init` needs."""
    asked = {
        "--url": "Address of the site (https://…): ",
        "--key": "Your acting key, a file that ends in .sign (drag it here): ",
        "--log-key": "The log's key, as the gateway printed it: ",
    }
    answers = {name: _asked(text) for name, text in asked.items()}
    records = _asked("Call records of the telephone system, a CSV file, if you get them (else Enter): ")
    if records:
        answers |= {"--cdr": records, "--zone": _asked("Their time zone, such as Europe/Berlin: ")}
    return tool("init", *(part for pair in answers.items() for part in pair))


def _asked(text: str) -> str:
    return input(text).strip().strip("'\"")


def main() -> int:
    """The weekly round, and its page in the browser."""
    prepare()
    code = 0 if (HOME / "council.json").exists() else set_up()
    if code == 0:
        code = tool("weekly", *sys.argv[1:])
        pages = sorted((HOME / "reports").glob("*.html")) if (HOME / "reports").is_dir() else []
        if pages:
            webbrowser.open(pages[-1].as_uri())
    return code


if __name__ == "__main__":
    try:
        result = main()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"That didn't work: {error}", file=sys.stderr)
        result = 2
    if sys.stdin.isatty():
        input("Press Enter to close.")
    raise SystemExit(result)
