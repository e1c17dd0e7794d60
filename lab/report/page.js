// Draws the page's plots, each as its selects choose, and sorts its tables.
'use strict';

const figures = JSON.parse(document.getElementById('figures').textContent);
const dark = matchMedia('(prefers-color-scheme: dark)');

/** The layout in the colours of the page. */
function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line, panel] = ['--ink', '--line', '--panel'].map((name) => style.getPropertyValue(name).trim());
  const axis = (given) => ({ ...given, gridcolor: line, zerolinecolor: line, linecolor: line });
  return {
    ...layout,
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
    font: { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily },
    paper_bgcolor: 'transparent',
    plot_bgcolor: 'transparent',
    hoverlabel: { bgcolor: panel, bordercolor: line, font: { color: ink } },
    legend: { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom', uirevision: 'kept' },
  };
}

function draw(place) {
  const choices = place.closest('section').querySelectorAll('select');
  const figure = figures[place.dataset.plot][[...choices].map((choice) => choice.value).join('|')];
  place.previousElementSibling.hidden = Boolean(figure);
  place.hidden = !figure;
  if (figure) Plotly.react(place, figure.data, themed(figure.layout), { responsive: true, displayModeBar: false });
}

const plots = [...document.querySelectorAll('[data-plot]')];
plots.forEach((place) => {
  draw(place);
  place.closest('section').querySelectorAll('select').forEach((choice) => {
    choice.addEventListener('change', () => draw(place));
  });
});
dark.addEventListener('change', () => plots.forEach(draw));

/** Sorts a table by one of its columns; what has no figure comes last. */
function sort(heading) {
  const up = heading.getAttribute('aria-sort') !== 'ascending';
  for (const other of heading.parentElement.children) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const key = (row) => {
    const cell = row.children[heading.cellIndex];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const body = heading.closest('table').tBodies[0];
  body.append(...[...body.rows].sort((left, right) => {
    const [a, b] = [key(left), key(right)];
    if (a === '–' || b === '–') return (a === '–') - (b === '–');
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
    return up ? order : -order;
  }));
}

for (const heading of document.querySelectorAll('thead th')) {
  heading.addEventListener('click', () => sort(heading));
  heading.addEventListener('keydown', (event) => { if (event.key === 'Enter') sort(heading); });
}
