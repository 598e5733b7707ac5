"""`python -m benchmarks`: the benchmark's command line."""

from pathlib import Path
from typing import Annotated

import typer

from recipes import cli

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A part of it; may be given repeatedly."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write every figure here, pictures beside it."),
    ] = None,
    peer: Annotated[
        Path, typer.Option(help="Python of the peer's environment; see benchmarks/.")
    ] = Path(".peers/bin/python"),
) -> None:
    """Measure speed and memory beside a peer, on this machine and in one run.

    Leave the machine alone meanwhile. Without the peer's environment, which `make
    bench` installs, the zoo is measured alone.
    """
    from benchmarks import run

    unknown = sorted(set(only or ()) - set(run.NAMES))
    if unknown:
        raise typer.BadParameter(
            f"no {', '.join(unknown)}; there are: {', '.join(run.NAMES)}",
            param_hint="--only",
        )
    if not peer.exists():
        cli.console.print(f"{peer} is not there: the zoo is measured alone.")
    run.run(only or run.NAMES, peer if peer.exists() else None, json_file, cli.console)


if __name__ == "__main__":
    cli.main(app)
