"""The command line: `coverpath determine claim.json`, and what goes with it."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import kg
from kg.check import overlaps
from kg.errors import ClaimError, CoverpathError, Fault, nearest

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Decide claims for intraoperative neuromonitoring line by line, each decision with its path.",
)

policy_app = typer.Typer(no_args_is_help=True, help="Judge the policies themselves.")
app.add_typer(policy_app, name="policy")

ontology_app = typer.Typer(no_args_is_help=True, help="Build what Protégé and stores may want beside the ontology.")
app.add_typer(ontology_app, name="ontology")

BAD_INPUT = 2
UNPROVEN = 3


class Posture(StrEnum):
    """How undocumented facts and guidelines count."""

    payer = "payer"
    advisory = "advisory"
    final = "final"


class Format(StrEnum):
    """How a determination is written."""

    text = "text"
    json = "json"
    turtle = "turtle"
    html = "html"


class Plain(StrEnum):
    """How a comparison is written."""

    text = "text"
    json = "json"


class ClaimFormat(StrEnum):
    """How a claim is written."""

    json = "json"
    jsonld = "jsonld"
    turtle = "turtle"


Claims = Annotated[list[Path], typer.Argument(metavar="CLAIM...", help="claim documents: .json .yaml .jsonld .ttl .nt")]
Policy = Annotated[str | None, typer.Option(help="judge under this policy instead of the claim's own")]
Out = Annotated[Path | None, typer.Option("-o", "--output", help="write to this file instead of standard output")]
InPosture = Annotated[Posture, typer.Option(help="how undocumented facts and guidelines count")]


@app.command()
def determine(
    claims: Claims,
    policy: Policy = None,
    posture: InPosture = Posture.advisory,
    format: Annotated[Format, typer.Option(help="text for reviewers; json and turtle for machines")] = Format.text,
    output: Out = None,
) -> None:
    """Determine claims: the decision of each line under each posture, and why."""
    knowledge = kg.load_knowledge()
    answers: list[kg.Determination | ClaimError] = []
    for path in _progress(claims):
        try:
            claim = kg.read_claim(path, knowledge)
            answers.append(kg.determine(claim, knowledge, policy, posture.value))
        except ClaimError as error:
            answers.append(ClaimError(error.faults, error.claim or path.stem))
    _write(_rendered(answers, format, output is None), output)
    for overlap in overlaps(answer.claim for answer in answers if not isinstance(answer, ClaimError)):
        places = " and ".join(f"{claim} line {line}" for claim, line in (overlap.one, overlap.other))
        typer.echo(f"alert of the run: one interpreter reports the same minutes on {places}", err=True)
    faulty = [answer for answer in answers if isinstance(answer, ClaimError)]
    if faulty and format in (Format.json, Format.turtle, Format.html):
        _say_faults(faulty)
    raise typer.Exit(BAD_INPUT if faulty else 0)


@app.command()
def explain(
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
    line: Annotated[int, typer.Option(help="the number of the line")],
    policy: Policy = None,
    posture: InPosture = Posture.advisory,
) -> None:
    """Show the path of one line in full, passes as well as failures."""
    from kg.text import print_all

    knowledge = kg.load_knowledge()
    determination = kg.determine(kg.read_claim(claim, knowledge), knowledge, policy, posture.value)
    numbers = [judged.number for judged in determination.lines]
    if line not in numbers:
        problem = f"the claim has no line {line}"
        raise ClaimError([Fault("--line", problem, f"give a number from 1 to {len(numbers)}")], claim.stem)
    print_all([determination.to_dict()], _console(), only=line, whole=True)


@app.command()
def compare(
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
    posture: InPosture = Posture.advisory,
    format: Annotated[Plain, typer.Option(help="text for reviewers; json for machines")] = Plain.text,
    output: Out = None,
) -> None:
    """Determine one claim under every policy, side by side: where they part, and on which clause."""
    from kg.compare import compare as compared
    from kg.text import print_comparison

    knowledge = kg.load_knowledge()
    comparison = compared(kg.read_claim(claim, knowledge), knowledge, posture.value)
    _write(_told(comparison, format, print_comparison, output is None), output)


@ontology_app.command()
def build(
    full: Annotated[bool, typer.Option("--full", help="every class of the ICD-10-CM release")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="build/icd10cm-full.ttl unless given")] = None,
) -> None:
    """Write the whole ICD-10-CM release as an OWL module that imports the ontology; the engine never reads it."""
    from rich.console import Console
    from rich.progress import track

    from kg.ontology import DEFAULT, write_full

    if not full:
        raise ClaimError([Fault("ontology build", "there is nothing to build but the full release", "give --full")])
    target = output or DEFAULT

    def shown(items: Iterable[Any]) -> Iterable[Any]:
        return track(items, "writing classes", console=Console(stderr=True), transient=True)

    typer.echo(f"{write_full(target, shown):,} classes in {target}")


@policy_app.command()
def lint() -> None:
    """Find clauses that are dead, shadowed, contradictory or unreachable, quotes not in the source, missing cases."""
    from rich.console import Console
    from rich.progress import track

    from kg.lint import lint as linted

    def shown(items: Iterable[Any]) -> Iterable[Any]:
        return track(items, "judging policies by their cases", console=Console(stderr=True), transient=True)

    found = list(linted(kg.load_knowledge(), progress=shown if sys.stderr.isatty() else iter))
    for finding in found:
        typer.echo(str(finding))
    typer.echo(f"{len(found)} finding{'s' if len(found) != 1 else ''}", err=True)
    raise typer.Exit(BAD_INPUT if found else 0)


@policy_app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="POLICY@EDITION")],
    after: Annotated[str, typer.Argument(metavar="POLICY@EDITION")],
    claims: Annotated[list[Path] | None, typer.Argument(metavar="[CLAIM...]")] = None,
    posture: InPosture = Posture.advisory,
    format: Annotated[Plain, typer.Option(help="text for people; json for machines")] = Plain.text,
) -> None:
    """Tell two editions apart: which clauses changed, and which lines of the claims change their decision, and why."""
    from kg.compare import difference
    from kg.text import print_difference

    knowledge = kg.load_knowledge()
    read = [kg.read_claim(path, knowledge) for path in claims or ()]
    changes = difference(before, after, read, knowledge, posture.value)
    _write(_told(changes, format, print_difference, True), None)


@app.command()
def check(claims: Claims, policy: Policy = None) -> None:
    """Check that claims are well-formed, and which coding edits hold; nothing is decided."""
    knowledge = kg.load_knowledge()
    faulty = []
    for path in claims:
        try:
            claim = kg.read_claim(path, knowledge)
            edits = (
                kg.determine(claim, knowledge, policy).to_dict()["edits"]
                if policy or claim.payer or claim.policy
                else []
            )
        except ClaimError as error:
            faulty.append(error)
            continue
        typer.echo(f"{claim.id}: well-formed, {len(edits)} edit{'s' if len(edits) != 1 else ''}")
        for edit in edits:
            where = f"line {edit['line']}" if edit["line"] else "claim"
            typer.echo(f"  {where}: {edit['label']} ({edit['effect']})")
    _say_faults(faulty)
    raise typer.Exit(BAD_INPUT if faulty else 0)


@app.command()
def verify(
    determination: Annotated[Path, typer.Argument(metavar="DETERMINATION", help="as JSON")],
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
) -> None:
    """Replay the proof of a determination independently: the first step that does not hold, or what was checked."""
    from kg.verify import STEPS, read_determination
    from kg.verify import verify as replayed

    failures = replayed(read_determination(determination), kg.read_claim(claim))
    if failures:
        typer.echo(f"{determination.name} does not hold: {failures[0]}", err=True)
        raise typer.Exit(UNPROVEN)
    typer.echo(f"{determination.name} holds")
    for told in STEPS.values():
        typer.echo(f"  {told}")


@app.command()
def claim(
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
    format: Annotated[ClaimFormat, typer.Option(help="the format to write")] = ClaimFormat.turtle,
    output: Out = None,
) -> None:
    """Convert a claim document."""
    from kg.convert import convert

    _write(convert(kg.read_claim(claim), kg.load_knowledge(), format.value), output)


@app.command()
def facts(
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
    policy: Policy = None,
    output: Out = None,
) -> None:
    """Write the facts of a claim and what follows from them as Turtle, for other SHACL engines and for SPARQL."""
    from kg.convert import facts_turtle

    knowledge = kg.load_knowledge()
    _write(facts_turtle(kg.determine(kg.read_claim(claim, knowledge), knowledge, policy)), output)


@app.command()
def serve(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Start the web service: POST a claim to /determinations; /docs describes the rest."""
    try:
        import uvicorn
    except ModuleNotFoundError:
        raise CoverpathError("the service is not installed\nhelp: pip install 'coverpath[serve]'") from None
    typer.echo(f"http://{host}:{port}/docs", err=True)
    uvicorn.run("api.app:app", host=host, port=port, access_log=False, log_level="warning")


@app.command()
def policies() -> None:
    """List the policies and guidelines, with their editions and how their clauses are known."""
    knowledge = kg.load_knowledge()
    for title, documents in (("policies", knowledge.policies.values()), ("guidelines", knowledge.guidelines)):
        typer.echo(title)
        for document in documents:
            typer.echo(f"  {document.id}  {document.label}")
            for edition in document.editions:
                span = f"{edition.start or '...'} to {edition.end or '...'}"
                unverified = sum(not clause.verified for clause in edition.clauses)
                typer.echo(f"    {edition.name} ({span}): {len(edition.clauses)} clauses, {unverified} unverified")


@app.command()
def codes(
    code: Annotated[str, typer.Argument(metavar="CODE", help="a code of ICD-10-CM, CPT or HCPCS, dotted or not")],
) -> None:
    """Show what the ontology holds of a code: what it states, suggests and permits, its region and its dates."""
    from kg.codes import describe

    for text in describe(code, kg.load_knowledge()):
        typer.echo(text)


@app.command()
def shapes(
    policy: Annotated[str | None, typer.Argument(metavar="[POLICY]")] = None,
    output: Out = None,
) -> None:
    """Write the whole derived SHACL, both sides of every criterion with probes, as Turtle."""
    from kg.criteria import derived_shapes

    knowledge = kg.load_knowledge()
    criteria = knowledge.criteria
    if policy is not None:
        documents = {**knowledge.policies, **{d.id: d for d in knowledge.guidelines}}
        if policy not in documents:
            help = nearest(policy, documents, f"policies: {', '.join(documents)}")
            raise ClaimError([Fault("POLICY", f"`{policy[:80]}` is not a policy that Coverpath holds", help)])
        criteria = knowledge.criteria_of(documents[policy])
    _write(derived_shapes(criteria.values(), knowledge.graph), output)


def _rendered(answers: list["kg.Determination | ClaimError"], format: Format, to_terminal: bool) -> str:
    if format is Format.turtle:
        from kg.rdf import to_turtle

        return "\n".join(to_turtle(answer) for answer in answers if not isinstance(answer, ClaimError))
    told = [_faulty(a) if isinstance(a, ClaimError) else a.to_dict() for a in answers]
    if format is Format.json:
        return json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False) + "\n"
    if format is Format.html:
        from kg.html import page

        return page(told)
    from kg.text import print_all

    return _printed(lambda console: print_all(told, console), to_terminal)


def _told(value: dict[str, Any], format: Plain, show: "Callable[[dict[str, Any], Console], None]", here: bool) -> str:
    if format is Plain.json:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return _printed(lambda console: show(value, console), here)


def _printed(show: "Callable[[Console], None]", to_terminal: bool) -> str:
    console = _console(to_terminal)
    with console.capture() as captured:
        show(console)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _faulty(error: ClaimError) -> dict[str, Any]:
    return {"claim": error.claim, "faults": [fault._asdict() for fault in error.faults]}


def _console(to_terminal: bool = True) -> "Console":
    from rich.console import Console

    width = None if to_terminal and sys.stdout.isatty() else 120
    return Console(highlight=False, width=width, no_color=None if to_terminal else True)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)


def _say_faults(errors: Iterable[ClaimError]) -> None:
    for error in errors:
        for fault in error.faults:
            typer.echo(f"{error.claim or 'claim'}: {fault}", err=True)


def _progress(paths: list[Path]) -> Iterator[Path]:
    if len(paths) < 50 or not sys.stderr.isatty():
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(paths, "determining", console=Console(stderr=True))


def main() -> None:
    """Run the command line; errors of ours become messages and exit codes."""
    try:
        app()
    except ClaimError as error:
        _say_faults([error])
        sys.exit(BAD_INPUT)
    except CoverpathError as error:
        typer.echo(f"coverpath: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
