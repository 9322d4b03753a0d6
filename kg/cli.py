"""The command line: `coverpath determine claim.json`, and what goes with it."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import kg
from kg.check import overlaps
from kg.errors import ClaimError, CoverpathError, Fault, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from api.store import Store

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

store_app = typer.Typer(no_args_is_help=True, help="Check and repair what the service has stored.")
app.add_typer(store_app, name="store")

keys_app = typer.Typer(no_args_is_help=True, help="Say who may use the service.")
app.add_typer(keys_app, name="keys")

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


class RoleName(StrEnum):
    """What a key of the service may do."""

    reader = "reader"
    submitter = "submitter"
    admin = "admin"


class Plain(StrEnum):
    """How a comparison is written."""

    text = "text"
    json = "json"


class QueryFormat(StrEnum):
    """How the answer of a query is written."""

    table = "table"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    xml = "xml"
    parquet = "parquet"
    xlsx = "xlsx"
    turtle = "turtle"


class ClaimFormat(StrEnum):
    """How a claim is written."""

    json = "json"
    jsonld = "jsonld"
    turtle = "turtle"


Claims = Annotated[list[Path], typer.Argument(metavar="CLAIM...", help="claim documents: .json .yaml .jsonld .ttl .nt")]
Policy = Annotated[str | None, typer.Option(help="judge under this policy instead of the claim's own")]
Out = Annotated[Path | None, typer.Option("-o", "--output", help="write to this file instead of standard output")]
Data = Annotated[Path | None, typer.Option(help="the data directory: COVERPATH_DATA or coverpath-data unless given")]
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
    determination: Annotated[Path, typer.Argument(metavar="DETERMINATION", help="as JSON, or as Turtle (.ttl)")],
    claim: Annotated[Path, typer.Argument(metavar="CLAIM")],
) -> None:
    """Replay the proof of a determination independently: the first step that does not hold, or what was checked."""
    from kg.verify import STEPS
    from kg.verify import verify as replayed

    given = kg.read_claim(claim)
    failures = [failure for value in _values(determination) for failure in replayed(value, given)]
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
def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    data: Data = None,
    store: Annotated[str | None, typer.Option(help="address of a SPARQL 1.1 Update endpoint for the index")] = None,
    store_query: Annotated[
        str | None, typer.Option(help="its address for queries, if no rule of README.md fits")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="processes that determine; 2 unless given")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="put the example claims into an empty store")] = False,
) -> None:
    """Start the web service: POST a claim to /determinations; /docs describes the rest."""
    with _service():
        from api.serve import run
        from api.settings import Settings

        settings = Settings.from_environment(data=data, store=store, store_query=store_query, workers=workers)
        run(settings, host, port, examples, lambda text: typer.echo(text, err=True))


@store_app.command("check")
def store_check(
    data: Data = None,
    head: Annotated[str | None, typer.Option(help="a head that was kept elsewhere, as `store head` prints it")] = None,
) -> None:
    """Find what is not as it was written: edits, deletions, swaps, cut tails, flipped bits; and a wrong index."""
    with _service():
        from api.serve import check

        found = list(check(_data(data), head))
    for fault in found:
        typer.echo(fault)
    typer.echo(f"{len(found)} fault{'s' if len(found) != 1 else ''}", err=True)
    raise typer.Exit(1 if found else 0)


@store_app.command("rebuild")
def store_rebuild(data: Data = None, store: Annotated[str | None, typer.Option(help="as for serve")] = None) -> None:
    """Make the RDF index again from the journal."""
    with _service():
        from api.serve import rebuild

        typer.echo(f"{rebuild(_data(data), store or ''):,} entries indexed")


@store_app.command("head")
def store_head(data: Data = None) -> None:
    """Print the head of the journal, to be kept where whoever can write the data directory cannot."""
    with _service(), _open(data) as store:
        head = store.head()
        typer.echo(f"{head.seq} {head.hash.hex()}")


@keys_app.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="whose key it is; no secret")],
    role: Annotated[RoleName, typer.Option(help="what it may do; each role may do what those before it may")],
    data: Data = None,
) -> None:
    """Make a key and print it, once. From then on the service asks for one."""
    with _service(), _open(data) as store:
        from api.access import Keys, Role

        typer.echo(Keys(store).add(name, Role[role.value]))


@keys_app.command("revoke")
def keys_revoke(id: Annotated[str, typer.Argument(help="as `keys list` prints it")], data: Data = None) -> None:
    """Let a key open nothing any more, within a second."""
    with _service(), _open(data) as store:
        from api.access import Keys

        try:
            Keys(store).revoke(id)
        except LookupError as error:
            raise ClaimError([Fault("ID", str(error), "give one that is not revoked")]) from None


@keys_app.command("list")
def keys_list(data: Data = None) -> None:
    """List the keys: identifier, role, when it was made, whose it is. The keys themselves are not kept."""
    with _service(), _open(data) as store:
        from api.access import Keys

        for key in Keys(store).listed():
            typer.echo(f"{key.id}  {key.role.name:9}  {key.made}  {key.name}{'  revoked' if key.revoked else ''}")


@contextmanager
def _service() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        raise CoverpathError("the service is not installed\nhelp: pip install 'coverpath[serve]'") from None


def _data(data: Path | None) -> Path:
    from api.settings import Settings

    found = Settings.from_environment(data=data).data
    if not found.is_dir():
        problem = f"`{found}` is no data directory"
        raise ClaimError([Fault("--data", problem, "give the one that `coverpath serve` names")])
    return found


@contextmanager
def _open(data: Path | None) -> "Iterator[Store]":
    from api.settings import Settings
    from api.store import Store

    with closing(Store(Settings.from_environment(data=data).data)) as store:
        yield store


@app.command()
def query(
    query: Annotated[str | None, typer.Argument(metavar="[QUERY.rq|NAME|'SELECT ...']")] = None,
    data: Annotated[Path | None, typer.Option(envvar="COVERPATH_DATA", help="the data directory of a service")] = None,
    claims: Annotated[list[Path] | None, typer.Option("--claim", help="ask of this claim's determination")] = None,
    store: Annotated[
        str | None, typer.Option(envvar="COVERPATH_STORE", help="the address that `serve` was given")
    ] = None,
    store_query: Annotated[str | None, typer.Option(envvar="COVERPATH_STORE_QUERY", help="as for serve")] = None,
    parameters: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE")] = None,
    format: Annotated[QueryFormat, typer.Option(help="how the answer is written")] = QueryFormat.table,
    output: Out = None,
) -> None:
    """Ask a store, or claims, by SPARQL; without a query, list the saved ones."""
    try:
        from api.asking import answer, found, media_of
        from api.library import library
        from api.settings import Settings
    except ModuleNotFoundError:
        raise CoverpathError("queries are not installed\nhelp: pip install 'coverpath[serve,query]'") from None
    knowledge = kg.load_knowledge()
    if query is None:
        for saved in library(knowledge.root).values():
            typer.echo(f"{saved.name}\n  {saved.question}")
        return
    given = dict(item.partition("=")[::2] for item in parameters or ())
    address = "" if claims else Settings(store=store or "", store_query=store_query or "").queries
    if claims is None and data is None and not address:
        typer.echo("the knowledge alone is asked; give --data, --store or --claim for determinations", err=True)
    question = found(query, knowledge).asked(given, media_of(format.value), knowledge)
    answered = answer(question, knowledge, None if claims else data, claims or (), address)
    if answered.capped:
        typer.echo(f"there are more rows than the {answered.rows:,} that are written", err=True)
    if format is QueryFormat.table:
        _write(_tabled(answered.media, answered.body, output is None), output)
    elif output is not None:
        output.write_bytes(answered.body)
    else:
        sys.stdout.buffer.write(answered.body)


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
        from kg.rdf import tell, to_turtle

        return "\n".join(to_turtle(tell(answer)) for answer in answers if not isinstance(answer, ClaimError))
    told = [_faulty(a) if isinstance(a, ClaimError) else a.to_dict() for a in answers]
    if format is Format.json:
        return json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False) + "\n"
    if format is Format.html:
        from kg.html import page

        return page(told)
    from kg.text import print_all

    return _printed(lambda console: print_all(told, console), to_terminal)


def _values(path: Path) -> list[dict[str, Any]]:
    """Read a determination: as JSON under one posture, as Turtle under each."""
    if path.suffix == ".ttl":
        from kg.rdf import read_turtle

        return list(read_turtle(path, kg.load_knowledge()).of.values())
    from kg.verify import read_determination

    return [dict(read_determination(path))]


def _tabled(media: str, body: bytes, to_terminal: bool) -> str:
    """Return rows as a table; triples, and the truth of ASK, as they are."""
    from rich.table import Table

    from api.results import read_csv

    if media != "text/csv" or body.strip() in (b"true", b"false"):
        return body.decode().strip() + "\n"
    names, rows = read_csv(body)
    table = Table(*names)
    for row in rows:
        table.add_row(*(cell.rpartition("/")[2] if cell.startswith("http") else cell for cell in row))
    return _printed(lambda console: console.print(table, markup=False), to_terminal)


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
