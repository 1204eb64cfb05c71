'use strict';
const EVERY = 2000, KEPT = 5 * 60 * 1000, STEPS = 300;
const id = name => document.getElementById(name);
const number = value => value.toLocaleString('en');

// Only what has changed is touched, so that focus and selected text stay where they are.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function add(parent, name, attributes = {}, text = '') {
  const svg = ['svg', 'path'].includes(name);
  const element = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}
function span(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

// Charts. A sample is what one snapshot has counted.
let samples = [], owner = '';
const charts = [];
function chart(title, unit, lines) {
  const figure = add(id('charts'), 'figure');
  const caption = add(figure, 'figcaption', {}, title);
  const now = add(caption, 'b', {}, '–');
  const picture = add(figure, 'svg', { role: 'img', viewBox: `0 0 ${STEPS} 100`, preserveAspectRatio: 'none', 'aria-label': title });
  const area = add(picture, 'path', { class: 'area' });
  const paths = lines.map((_, i) => add(picture, 'path', i ? { class: 'second' } : {}));
  const axis = add(figure, 'div', { class: 'axis quiet', 'aria-hidden': 'true' });
  const [left, top, right] = ['5 min ago', '', 'now'].map(text => add(axis, 'span', {}, text));
  charts.push(() => {
    const series = lines.map(line => line());
    const known = series.map(points => points.filter(point => point.value !== null));
    const highest = Math.max(...known.flat().map(point => point.value), 0);
    const scale = highest || 1;
    const end = samples.at(-1)?.at ?? 0;
    series.forEach((points, i) => {
      let path = '', pen = 'M', first = null, last = null;
      for (const { at, value } of points) {
        if (value === null) { pen = 'M'; continue; }
        const x = (STEPS * (1 - (end - at) / KEPT)).toFixed(1);
        path += `${pen}${x} ${(97 - 92 * value / scale).toFixed(1)}`;
        pen = 'L'; first ??= x; last = x;
      }
      paths[i].setAttribute('d', path);
      if (i === 0) area.setAttribute('d', path && !path.includes('M', 1) ? `${path}L${last} 100L${first} 100Z` : '');
    });
    const latest = series.map(points => {
      const value = points.at(-1)?.value ?? null;
      return value === null ? '' : unit(value);
    }).filter(text => text).join(', ') || '–';
    say(now, latest);
    say(top, known[0].length ? `highest ${unit(highest)}` : '');
    picture.setAttribute('aria-label', known[0].length
      ? `${title}, last five minutes: now ${latest}, highest ${unit(highest)}` : `${title}: nothing to draw yet`);
  });
}
const finished = counts => ['applied', 'stale', 'ignored'].reduce((sum, name) => sum + (counts.outcomes[name] ?? 0), 0);
// From one sample to the next.
const steps = change => samples.slice(1).map((sample, i) => ({ at: sample.at, value: change(samples[i], sample) }));
// The bounds double from one to the next: what lies between two is guessed.
function quantile(share, from, to) {
  const added = to.counts.latencies.map(([bound, count], i) => [bound, count - from.counts.latencies[i][1]]);
  const rank = added.at(-1)[1] * share;
  if (!rank) return null;
  let below = 0, lower = 0;
  for (const [bound, count] of added) {
    if (count >= rank) return bound === null ? lower : lower + (bound - lower) * (rank - below) / (count - below);
    [below, lower] = [count, bound];
  }
  return null;
}
const rounded = value => number(value < 10 ? Math.round(value * 10) / 10 : Math.round(value));
const seconds = value => value < 1 ? `${rounded(value * 1000)} ms` : `${rounded(value)} s`;
chart('Throughput: finished events', value => `${rounded(value)}/s`,
  [() => steps((from, to) => (finished(to.counts) - finished(from.counts)) * 1000 / (to.at - from.at))]);
chart('Latency from request to commit: half within, and 95 % (dashed) within', seconds, [
  () => steps((from, to) => quantile(.5, from, to)),
  () => steps((from, to) => quantile(.95, from, to))]);
chart('Backlog: events in the queue', value => number(value),
  [() => samples.map(({ at, backlog }) => ({ at, value: backlog }))]);

// Tables. Roles are spelt out, because on a phone rows are shown as blocks.
function table(name, headings) {
  const element = id(name);
  element.setAttribute('role', 'table');
  const body = element.tBodies[0];
  for (const group of [element.tHead, body]) group.setAttribute('role', 'rowgroup');
  const head = add(element.tHead, 'tr', { role: 'row' });
  for (const heading of headings) add(head, 'th', { scope: 'col', role: 'columnheader' }, heading);
  const rows = new Map();
  // `list` is null where it is not known. Each cell is text, or a function that fills it once.
  return (list, key, cells, none) => {
    const part = id(`${name}-part`);
    const rest = part.querySelector('.rest');
    const found = list?.rows ?? [];
    say(element.querySelector('.count'), list ? `(${number(found.length + list.more)})` : '');
    say(rest, !list ? 'Not known: the store does not answer, or not soon enough.' : !found.length && !list.more ? none
      : list.more ? `and ${number(list.more)} more` : '');
    element.classList.toggle('filled', found.length > 0);
    const seen = new Set();
    found.forEach((row, place) => {
      let name = key(row);
      while (seen.has(name)) name += '+';
      seen.add(name);
      let line = rows.get(name);
      if (!line) {
        line = add(body, 'tr', { role: 'row' });
        headings.forEach((heading, i) => add(line, i ? 'td' : 'th', i
          ? { role: 'cell', 'data-label': heading } : { role: 'rowheader', scope: 'row' }));
        rows.set(name, line);
      }
      cells(row).forEach((cell, i) => {
        const box = line.cells[i];
        if (typeof cell !== 'function') say(box, cell);
        else if (!box.hasChildNodes()) cell(box);
      });
      if (body.rows[place] !== line) body.insertBefore(line, body.rows[place] ?? null);
    });
    for (const [name, line] of rows) if (!seen.has(name)) { line.remove(); rows.delete(name); }
  };
}
const letters = table('letters', ['svix-id', 'Failed', 'Attempts', 'Reason', 'Replay']);
const retries = table('retries', ['svix-id', 'Next attempt', 'Failed attempts', 'Reason']);
const consumers = table('consumers', ['Worker', 'Holds', 'Of partitions', 'Last sign of life']);
const outcomes = table('outcomes', ['svix-id', 'Outcome', 'When', 'Type', 'Object']);

function copying(line) {
  return box => {
    const code = add(box, 'code', {}, line);
    const button = add(box, 'button', { type: 'button' }, 'Copy');
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(line);
        say(id('said'), 'The command is copied.');
        say(button, 'Copied');
      } catch {
        // Only pages of this machine or with HTTPS may copy.
        getSelection().selectAllChildren(code);
        say(id('said'), 'The command is selected.');
        say(button, 'Selected');
      }
      setTimeout(() => say(button, 'Copy'), 3000);
    });
  };
}

function verdict(snapshot) {
  const { queue, stores, misfit } = snapshot;
  const away = stores.filter(store => store.problem !== null).map(store => store.name);
  const trouble = away.length ? [`✖ In trouble: ${away.join(' and ')}`] : [];
  if (misfit !== null) trouble.push(`✖ Nothing is read, because the tables file does not fit: ${misfit}`);
  if (trouble.length) return ['bad', trouble.join(' ')];
  if (queue.oldest > 60000) return ['bad', `✖ Late: the oldest event has waited for ${queue.oldest < 120000 ? 'over a minute' : span(queue.oldest)}`];
  if (queue.dead_letters) return ['warn', `▲ Dead letters: ${number(queue.dead_letters)}`];
  return ['good', '✔ All is well'];
}
function judge([level, text]) {
  id('verdict').dataset.level = level;
  say(id('verdict'), text);
}

function show(snapshot) {
  const { queue, counts, at, consumer } = snapshot;
  judge(verdict(snapshot));
  say(id('consumer'), consumer);
  say(id('moment'), `As of ${new Date(at).toLocaleTimeString('en-GB')}.`);
  say(id('scope'), queue && queue.partitions > 1
    ? `${queue.partitions} partitions together, as this worker reads them.` : 'Of all workers together.');
  for (const [name, value] of [['backlog', queue?.backlog], ['pending', queue?.pending],
    ['waiting', queue?.waiting_retries], ['dead', queue?.dead_letters]]) say(id(name), value === undefined ? '–' : number(value));
  say(id('oldest'), !queue ? '–' : queue.oldest === null ? 'none' : span(queue.oldest));
  snapshot.stores.forEach(({ name, problem }, i) => {
    const item = id('stores').children[i] ?? add(id('stores'), 'li');
    item.dataset.level = problem === null ? 'good' : 'bad';
    say(item, problem === null ? `✔ ${name}: answers` : `✖ ${name}: ${problem}`);
  });
  if (owner !== consumer) [samples, owner] = [[], consumer];
  if (samples.at(-1)?.at !== at) samples.push({ at, counts, backlog: queue?.backlog ?? null });
  samples = samples.filter(sample => sample.at > at - KEPT && sample.at <= at);
  charts.forEach(draw => draw());

  letters(queue?.letters, row => `${row.partition} ${row.svix_id} ${row.attempts}`, row => [row.svix_id || '(none)',
    `${span(row.age)} ago`, row.attempts || '–', row.reason || '–',
    row.replay ? copying(row.replay) : 'by hand: its svix-id is no plain one'], 'None.');
  retries(queue?.retries, row => `${row.partition} ${row.svix_id}`, row => [row.svix_id,
    row.due ? `in ${span(row.due)}` : 'now', row.attempts || '–', row.reason || "in the worker's log"], 'None.');
  consumers(queue?.consumers, row => row.name, row => [row.name === consumer ? `${row.name} (this one)` : row.name,
    number(row.pending), Object.entries(row.held).map(([partition, held]) => `${partition}: ${number(held)}`).join(', ') || '–',
    row.idle < 2000 ? 'now' : `${span(row.idle)} ago`], 'None: no worker reads the queue.');
  outcomes(snapshot.outcomes && { rows: snapshot.outcomes, more: 0 }, row => row.svix_id, row => [row.svix_id, row.outcome,
    `${span(row.age)} ago`, row.type, row.object_id ?? '–'], 'None yet.');
}

async function look(svixId) {
  const answer = id('answer');
  say(answer, 'Looking…');
  try {
    const response = await fetch(`/status/event?svix_id=${encodeURIComponent(svixId)}`);
    const { text, error } = await response.json();
    say(answer, text ?? error);
  } catch {
    say(answer, 'The worker does not answer.');
  }
}
id('look-up').addEventListener('submit', event => {
  event.preventDefault();
  const svixId = id('svix-id').value.trim();
  history.replaceState(null, '', `?svix_id=${encodeURIComponent(svixId)}`);
  look(svixId);
});

async function poll() {
  if (!document.hidden) {
    try {
      const response = await fetch('/status.json', { signal: AbortSignal.timeout(10000) });
      show(await response.json());
    } catch {
      judge(['bad', '✖ This worker does not answer; what stands below is old']);
    }
  }
  setTimeout(poll, EVERY);
}
poll();
const asked = new URLSearchParams(location.search).get('svix_id');
if (asked) {
  id('svix-id').value = asked;
  look(asked);
}
