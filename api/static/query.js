"use strict";
// The editor for SPARQL; the saved queries come from the service. Nothing is asked of any other host.

const place = document.getElementById("yasgui");
const prefixes = JSON.parse(place.dataset.prefixes);
const start = `PREFIX cov: <${prefixes.cov}>

SELECT ?decision (COUNT(*) AS ?lines) WHERE {
  GRAPH ?determination { ?line a cov:LineDecision ; cov:posture cov:advisoryPosture ; cov:decision ?decision }
}
GROUP BY ?decision
ORDER BY DESC(?lines)
`;
Yasgui.Yasqe.defaults.autocompleters = []; // the stock ones ask prefix.cc and lov.linkeddata.es
Yasgui.Yasqe.defaults.value = start;
const editor = new Yasgui(place, {
  persistenceId: null,
  populateFromUrl: false,
  requestConfig: { endpoint: new URL("/sparql", location).href },
  endpointCatalogueOptions: { getData: () => [] },
  yasqe: { value: start, persistenceId: null, createShareableLink: undefined },
  yasr: { prefixes, persistenceId: null, pluginOrder: ["table", "boolean", "response", "error"], externalPlugins: [] },
});

const saved = document.getElementById("saved");
fetch("/queries", { headers: { Accept: "application/json" } })
  .then((answer) => (answer.ok ? answer.json() : []))
  .then((answer) => {
    const queries = Array.isArray(answer) ? answer : answer.queries ?? [];
    for (const query of queries) {
      const option = new Option(query.title ?? query.name, query.name);
      option.dataset.query = query.query ?? "";
      option.dataset.question = query.question ?? "";
      saved.add(option);
    }
    saved.disabled = queries.length === 0;
  });
saved.addEventListener("change", () => {
  const { query, question } = saved.selectedOptions[0].dataset;
  document.getElementById("saved-question").textContent = question ?? "";
  const link = document.getElementById("saved-page");
  link.hidden = !saved.value;
  link.href = `/queries/${encodeURIComponent(saved.value)}`;
  if (query) editor.getTab().setQuery(query);
});
