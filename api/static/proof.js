"use strict";
// Draws the proof of a line when it is opened.

const COLOURS = {
  ".decision": { "background-color": "#1c2430", color: "#fff", "font-weight": "bold" },
  ".met": { "background-color": "#e5f3ea", "border-color": "#17603a" },
  ".not-met": { "background-color": "#fcebea", "border-color": "#9b1c23" },
  ".undocumented": { "background-color": "#fff3d4", "border-color": "#6f4a00", "border-style": "dashed" },
  ".conflicting": { "background-color": "#f1eafa", "border-color": "#5b3593", "border-style": "double", "border-width": 4 },
  ".guideline": { "background-color": "#eaf1fb", "border-color": "#164a8b" },
  ".term": { shape: "ellipse", "background-color": "#fff", "border-color": "#8793a3", "font-family": "monospace" },
};

document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (!details.matches?.("details.proof-graph[open]") || details.dataset.drawn) return;
  details.dataset.drawn = "yes";
  const drawing = cytoscape({
    container: details.querySelector(".graph"),
    elements: JSON.parse(details.dataset.graph),
    wheelSensitivity: 0.3,
    minZoom: 0.1,
    maxZoom: 2,
    layout: { name: "breadthfirst", directed: true, roots: ["line"], spacingFactor: 1, padding: 12, avoidOverlap: true },
    style: [
      { selector: "node", style: { label: "data(label)", shape: "round-rectangle", "text-wrap": "wrap", "text-max-width": 130, "text-valign": "center", "font-size": 11, width: 146, height: 52, "border-width": 2, "border-color": "#4b5666", "background-color": "#fff", color: "#1c2430" } },
      { selector: "edge", style: { width: 1.5, "line-color": "#8793a3", "target-arrow-color": "#8793a3", "target-arrow-shape": "triangle", "curve-style": "bezier", label: "data(label)", "font-size": 9, "text-background-color": "#fff", "text-background-opacity": 1, "text-background-padding": 2 } },
      { selector: "edge.evidence", style: { "line-style": "dashed" } },
      ...Object.entries(COLOURS).map(([selector, style]) => ({ selector, style })),
    ],
  });
  details.drawing = drawing;
}, true);
