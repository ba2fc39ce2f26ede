// A click on a heading sorts its table: up, down, as it was. Numbers come with the cells.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  const key = (row, column) => {
    const cell = row.cells[column];
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim();
  };
  const isEmpty = (value) => value === "" || value === "—";
  const compare = (a, b) => {
    if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
    const numbers = (typeof a === "number") + (typeof b === "number");
    if (numbers === 2) return a - b;
    if (numbers === 1) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[heading.getAttribute("aria-sort")];
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      const rows = original.slice();
      if (order !== "none") {
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((x, y) => {
          const [a, b] = [key(x, column), key(y, column)];
          // What is undefined stays below, whichever way.
          return isEmpty(a) || isEmpty(b) ? compare(a, b) : sign * compare(a, b);
        });
      }
      body.append(...rows);
    });
  });
}
