"use strict";
// Draws the charts from the data block of the page, and lets the table be sorted. Nothing is fetched, nothing is
// evaluated: Vega runs its expressions through its interpreter.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);

  const unpack = ({ columns, rows }) =>
    rows.map((row) =>
      Object.fromEntries(columns.map(([name, isText], at) => [name, isText ? page.texts[row[at]] : row[at]])),
    );

  const refuse = () => Promise.reject(new Error("this page loads nothing"));
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    actions: false,
    ast: true,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    loader: { load: refuse, sanitize: refuse, http: refuse, file: refuse },
  };

  async function drawAll() {
    for (const chart of page.charts) {
      for (const [at, panel] of chart.panels.entries()) {
        const place = document.getElementById(`plot-${chart.id}-${at}`);
        const datasets = Object.fromEntries(Object.entries(panel).map(([name, packed]) => [name, unpack(packed)]));
        try {
          await vegaEmbed(place, { ...chart.spec, datasets }, options);
        } catch (error) {
          place.textContent = `This chart could not be drawn: ${error.message}. Its numbers are in the table.`;
          console.error(error);
        }
      }
    }
    document.documentElement.dataset.drawn = "yes";
  }

  function sortBy(table, column, heading) {
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      if (one === "" || other === "") return (one === "") - (other === ""); // nothing measured: last, either way
      const difference = Number(one) - Number(other);
      return direction * (Number.isNaN(difference) ? one.localeCompare(other) : difference);
    });
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
      heading.querySelector("button").addEventListener("click", () => sortBy(table, column, heading));
    }
  }

  drawAll();
})();
