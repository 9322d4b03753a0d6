"use strict";
// Draws the proof of a line when it is opened.

const READABLE = 0.85;
const COLOURS = {
  ".decision": { "background-color": "#1c2430", color: "#fff", "font-weight": "bold" },
  ".met": { "background-color": "#e5f3ea", "border-color": "#17603a" },
  ".not-met": { "background-color": "#fcebea", "border-color": "#9b1c23" },
  ".undocumented": { "background-color": "#fff3d4", "border-color": "#6f4a00", "border-style": "dashed" },
  ".conflicting": { "background-color": "#f1eafa", "border-color": "#5b3593", "border-style": "double", "border-width": 4 },
  ".guideline": { "background-color": "#eaf1fb", "border-color": "#164a8b" },
  ".term": { shape: "ellipse", "background-color": "#fff", "border-color": "#8793a3", "font-family": "monospace", "text-overflow-wrap": "anywhere" },
};

document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (!details.matches?.("details.proof-graph[open]") || details.dataset.drawn) return;
  details.dataset.drawn = "yes";
  const drawing = cytoscape({
    container: details.querySelector(".graph"),
    elements: JSON.parse(details.dataset.graph),
    minZoom: 0.1,
    maxZoom: 2,
    layout: { name: "breadthfirst", directed: true, roots: ["line"], spacingFactor: 1, padding: 12, avoidOverlap: true },
    style: [
      { selector: "node", style: { label: "data(label)", shape: "round-rectangle", "text-wrap": "wrap", "text-max-width": 138, "text-valign": "center", "font-size": 11, width: 150, height: 54, "border-width": 2, "border-color": "#4b5666", "background-color": "#fff", color: "#1c2430" } },
      { selector: "edge", style: { width: 1.5, "line-color": "#8793a3", "target-arrow-color": "#8793a3", "target-arrow-shape": "triangle", "curve-style": "bezier", label: "data(label)", "font-size": 9, "text-background-color": "#fff", "text-background-opacity": 1, "text-background-padding": 2 } },
      { selector: "edge.evidence", style: { "line-style": "dashed" } },
      ...Object.entries(COLOURS).map(([selector, style]) => ({ selector, style })),
    ],
  });
  details.drawing = drawing;
  if (drawing.zoom() < READABLE) { // begin at the decision, where it can be read, rather than small and whole
    drawing.zoom(READABLE);
    drawing.center(drawing.getElementById("line"));
    drawing.panBy({ x: 0, y: 60 - drawing.height() / 2 });
  }
}, true);

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom]"), drawing = button?.closest("details").drawing;
  if (!drawing) return;
  if (button.dataset.zoom === "fit") drawing.fit(undefined, 12);
  else drawing.zoom({ level: drawing.zoom() * Number(button.dataset.zoom), renderedPosition: { x: drawing.width() / 2, y: drawing.height() / 2 } });
});
