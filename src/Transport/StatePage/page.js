
"use strict";
(() => {
  const everyMilliseconds = 2000;
  const samplesKept = 90;
  const address = location.pathname.replace(/\/+$/, "") + "/state";

  const byId = id => document.getElementById(id);
  const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const svgNamespace = "http://www.w3.org/2000/svg";

  // Whatever comes from outside goes through here, as text.
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.filter(child => child !== null && child !== undefined)
      .map(child => child instanceof Node ? child : String(child)));
    return element;
  }

  function draw(tag, attributes) {
    const element = document.createElementNS(svgNamespace, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function count(value) {
    if (value >= 1e9) return (value / 1e9).toFixed(2) + " G";
    if (value >= 1e6) return (value / 1e6).toFixed(2) + " M";
    return value > 0 && value < 10 && !Number.isInteger(value) ? value.toFixed(1) : number.format(value);
  }

  function bytes(value) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000;
      unit++;
    }
    return (unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " " + units[unit];
  }

  function time(seconds) {
    if (seconds === 0) return "0";
    if (seconds < 0.001) return (seconds * 1e6).toFixed(0) + " µs";
    if (seconds < 0.0995) return (seconds * 1e3).toFixed(1) + " ms";
    if (seconds < 1) return (seconds * 1e3).toFixed(0) + " ms";
    if (seconds < 9.95) return seconds.toFixed(1) + " s";
    if (seconds < 120) return seconds.toFixed(0) + " s";
    const minutes = Math.floor(seconds / 60);
    if (minutes < 120) return minutes + " min";
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? hours + " h " + (minutes % 60) + " min" : Math.floor(hours / 24) + " d " + (hours % 24) + " h";
  }

  const plural = (value, noun) => count(value) + " " + noun + (value === 1 ? "" : "s");
  const perSecond = format => value => format(value) + "/s";
  const rateOf = read => (now, before) => Math.max(0, read(now) - read(before)) / Math.max(0.001, now.clock - before.clock);
  const sum = object => Object.values(object).reduce((total, value) => total + value, 0);

  const charts = [
    { title: "Turns", format: perSecond(count), least: 10, series: [
      { name: "run", color: "blue", value: rateOf(state => state.counters.turns) },
      { name: "taken by idle workers", color: "amber", value: rateOf(state => state.counters.stolenTurns) }] },
    { title: "Workers", format: count, least: 2, stacked: true, series: [
      { name: "running", color: "blue", value: state => state.workers.running },
      { name: "idle", color: "gray", value: state => state.workers.idle },
      { name: "blocked", color: "red", value: state => state.workers.blocked },
      { name: "spare", color: "teal", value: state => state.workers.spare }] },
    { title: "Hand-offs", format: perSecond(count), least: 1, stacked: true, series: [
      { name: "managed", color: "blue", value: rateOf(state => state.handOffs.managed_wait) },
      { name: "kernel", color: "teal", value: rateOf(state => state.handOffs.kernel_wait) },
      { name: "computing", color: "amber", value: rateOf(state => state.handOffs.computing) },
      { name: "other", color: "gray", value: rateOf(state => state.handOffs.short_waits + state.handOffs.long_turn) }] },
    { title: "Work that waits", format: count, least: 4, series: [
      { name: "turns", color: "blue", value: state => state.work.queued }] },
    { title: "How long it waits", format: time, least: 0.0001, series: [
      { name: "slowest group", color: "amber", value: state => state.work.waitSeconds }] },
    { title: "Bytes", format: perSecond(bytes), least: 1000, series: [
      { name: "received", color: "blue", value: rateOf(state => state.counters.bytesReceived) },
      { name: "sent", color: "teal", value: rateOf(state => state.counters.bytesSent) }] },
    { title: "Connections accepted", format: perSecond(count), least: 1, series: [
      { name: "accepted", color: "blue", value: rateOf(state => state.counters.acceptedConnections) }] },
    { title: "Connections open", format: count, least: 4, series: [
      { name: "open", color: "blue", value: state => state.connections.open },
      { name: "lingering", color: "amber", value: state => state.connections.lingering }] },
    { title: "Waits for events", format: perSecond(count), least: 10, series: [
      { name: "waits", color: "blue", value: rateOf(state => state.counters.polls) },
      { name: "events", color: "teal", value: rateOf(state => state.counters.events) }] },
  ];

  const columns = [
    { key: "peer", title: "Peer", wide: true, cell: c => [c.peer || "no name", c.isThis ? make("span", "badge note", "this page") : null] },
    { key: "endPoint", title: "Endpoint", wide: true, cell: c => c.endPoint },
    { key: "state", title: "State", cell: c => make("span", "badge" + (c.state === "open" ? "" : " note"), c.state) },
    { key: "waitsFor", title: "Waits for", cell: c => c.waitsFor },
    { key: "age", title: "Age", numeric: true, cell: c => time(c.ageSeconds) },
    { key: "received", title: "Received", numeric: true, cell: c => bytes(c.received) },
    { key: "sent", title: "Sent", numeric: true, cell: c => bytes(c.sent) },
    { key: "queued", title: "Queued", numeric: true, cell: c => c.queued === 0 ? "" : bytes(c.queued) },
    { key: "deadline", title: "Deadlines", wide: true, cell: c => deadlines(c) },
    { key: "id", title: "Id", className: "id", cell: c => c.id },
  ];

  function deadlines(connection) {
    const tell = (name, left) => left === undefined ? null : name + (left === 0 ? " passed" : " in " + time(left));
    return [tell("read", connection.readDeadlineSeconds), tell("write", connection.writeDeadlineSeconds)].filter(Boolean).join(", ");
  }

  const query = { sort: "age", descending: true, filter: "", limit: 100 };
  const history = [];
  let before = null;
  let latest = null;
  let paused = false;
  let timer = 0;
  let asking = null;

  // Charts

  for (const chart of charts) {
    chart.when = make("span", "when");
    chart.legend = make("div", "legend");
    chart.top = make("span", "top");
    chart.svg = draw("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": chart.title });
    chart.svg.addEventListener("pointermove", event => {
      const box = chart.svg.getBoundingClientRect();
      const place = Math.round((event.clientX - box.left) / box.width * (samplesKept - 1)) - (samplesKept - history.length);
      chart.at = Math.min(history.length - 1, Math.max(0, place));
      paint(chart);
    });
    chart.svg.addEventListener("pointerleave", () => {
      chart.at = undefined;
      paint(chart);
    });
    byId("charts").append(make("div", "chart",
      make("div", "head", make("span", "title", chart.title), chart.when), chart.legend, make("div", "plot", chart.svg, chart.top)));
  }

  // 1, 2, 5, 10, 20, 50 … times the least.
  function ceiling(value, least) {
    let top = least;
    for (let i = 0; top < value; i++) top = least * [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3);
    return top;
  }

  function paint(chart) {
    const which = charts.indexOf(chart);
    const rows = history.map(sample => sample.values[which]);
    if (rows.length === 0) return;
    const heights = rows.map(row => chart.stacked ? row.reduce((total, value) => total + value, 0) : Math.max(...row));
    const top = ceiling(Math.max(...heights), chart.least);
    const x = i => (i + samplesKept - rows.length) / (samplesKept - 1) * 100;
    const y = value => 98 - value / top * 94;
    const parts = [draw("line", { class: "grid-line", x1: 0, x2: 100, y1: y(top), y2: y(top) }),
      draw("line", { class: "grid-line", x1: 0, x2: 100, y1: y(top / 2), y2: y(top / 2) }),
      draw("line", { class: "grid-line", x1: 0, x2: 100, y1: y(0), y2: y(0) })];
    const floor = rows.map(() => 0);
    chart.series.forEach((series, s) => {
      const ends = rows.map((row, i) => floor[i] + row[s]);
      const path = values => values.map((value, i) => x(i).toFixed(2) + "," + y(value).toFixed(2));
      const outline = path(ends);
      if (chart.stacked) {
        parts.push(draw("polygon", { class: "f-" + series.color, points: [...outline, ...path(floor).reverse()].join(" ") }));
        ends.forEach((value, i) => { floor[i] = value; });
      } else {
        const under = [...outline, "100," + y(0), x(0) + "," + y(0)];
        if (s === 0) parts.push(draw("polygon", { class: "under f-" + series.color, points: under.join(" ") }));
        parts.push(draw("polyline", { class: "line s-" + series.color, points: outline.join(" ") }));
      }
    });
    const at = chart.at === undefined ? rows.length - 1 : Math.min(chart.at, rows.length - 1);
    if (chart.at !== undefined) parts.push(draw("line", { class: "cursor", x1: x(at), x2: x(at), y1: 0, y2: 100 }));
    chart.svg.replaceChildren(...parts);
    chart.top.textContent = chart.format(top);
    chart.when.textContent = chart.at === undefined ? "" : time(history.at(-1).clock - history[at].clock) + " ago";
    chart.legend.replaceChildren(...chart.series.map((series, s) =>
      make("span", "", make("i", "swatch f-" + series.color), series.name + " ", make("b", "", chart.format(rows[at][s])))));
  }

  // Numbers

  function tile(label, value, more, bad) {
    return make("div", bad ? "tile bad" : "tile", make("div", "label", label), make("div", "value", value), make("div", "more", more));
  }

  function showTiles(state) {
    const rate = read => before === null ? 0 : rateOf(read)(state, before);
    const { workers, connections, counters, transport, work } = state;
    byId("tiles").replaceChildren(
      tile("Turns per second", before === null ? "…" : count(rate(s => s.counters.turns)), count(counters.turns) + " so far"),
      tile("Open connections", count(connections.open), count(counters.acceptedConnections) + " accepted so far"),
      tile("Work waits", time(work.waitSeconds), plural(work.queued, "turn") + " in queues"),
      tile("Workers", count(workers.running + workers.idle + workers.blocked + workers.spare),
        count(transport.workerCount) + " at work, at most " + count(transport.maxWorkerCount)),
      tile("Blocked workers", count(workers.blocked), workers.missing > 0 ? workers.missing + " cannot be replaced"
        : count(sum(state.handOffs)) + " hand-offs so far", workers.missing > 0),
      tile("Sent per second", before === null ? "…" : bytes(rate(s => s.counters.bytesSent)),
        before === null ? "" : bytes(rate(s => s.counters.bytesReceived)) + "/s received"));
  }

  function showNotices(state) {
    const { transport, addresses, endpoints, workers, counters } = state;
    const notices = [];
    const tell = (text, bad) => notices.push(make("p", bad ? "notice bad" : "notice", text));
    if (transport.status === "missing") tell(transport.remark, true);
    if (transport.status === "unsupported") {
      tell("netpoll serves nothing, Kestrel's other transports serve everything: " + transport.remark, true);
    }
    if (transport.status === "idle") tell("netpoll serves no endpoint.");
    const others = addresses.filter(entry => entry.servedBy !== "netpoll").map(entry => entry.address);
    if (transport.status === "serving" && others.length > 0) {
      tell("Served by another transport, and not shown here: " + others.join(", ") + ".");
    }
    const netpolls = transport.registered.filter(name => name === "NetpollTransportFactory").length;
    if (netpolls > 1) tell("There are " + netpolls + " netpoll transports. This page shows the one that is a service.");
    if (transport.isStopping) tell("Connections are being ended: the host stops, or another process has taken over.");
    for (const endpoint of endpoints.filter(entry => entry.isPaused)) {
      tell("Accepting on " + endpoint.endPoint + " pauses: the system has no room for another connection.", true);
    }
    if (workers.missing > 0) tell(workers.missing + " blocked workers cannot be replaced: the limit of threads is reached.", true);
    if (counters.failedTurns > 0) tell(count(counters.failedTurns) + " turns have thrown, which none must: see log id 104.", true);
    byId("notices").replaceChildren(...notices);
  }

  // Tables

  function fill(table, columns, rows, empty) {
    const body = make("tbody", "", ...rows.map(row => make("tr", "", ...columns.map(column => {
      const content = column.cell(row);
      const isBlank = content === "" || content === undefined;
      const kinds = [column.numeric ? "num" : "", column.wide ? "wide" : "", column.className ?? "", isBlank ? "blank" : ""];
      const cell = make("td", kinds.filter(Boolean).join(" "), ...(Array.isArray(content) ? [make("span", "", ...content)] : [content]));
      cell.dataset.label = column.title;
      return cell;
    }))));
    if (rows.length === 0) {
      const cell = make("td", "empty", empty);
      cell.colSpan = columns.length;
      body.append(make("tr", "", cell));
    }
    table.tBodies[0]?.remove();
    table.append(body);
  }

  function head(table, columns, makeCell) {
    table.append(make("thead", "", make("tr", "", ...columns.map(column => {
      const cell = makeCell ? makeCell(column) : make("th", column.numeric ? "num" : "", make("span", "", column.title));
      cell.scope = "col";
      return cell;
    }))));
  }

  const endpointColumns = [
    { title: "Address", wide: true, cell: e => e.address },
    { title: "Served by", cell: e => make("span", e.servedBy === "netpoll" ? "badge" : "badge note", e.servedBy) },
    { title: "Accepting", cell: e => e.isPaused === undefined ? ""
      : make("span", e.isPaused ? "badge bad" : "badge", e.isPaused ? "pauses" : "yes") },
    { title: "Pauses", numeric: true, cell: e => e.pauses === undefined ? "" : count(e.pauses) },
    { title: "Accept queue", numeric: true, cell: e => e.acceptQueue === undefined ? ""
      : count(e.acceptQueue) + " of " + count(e.acceptQueueLimit) },
  ];

  const blockedColumns = [
    { title: "Last", cell: b => new Date(b.at).toLocaleTimeString() },
    { title: "Times", numeric: true, cell: b => count(b.times) },
    { title: "Longest", numeric: true, cell: b => time(b.longest) },
    { title: "By", cell: b => b.cause.replace("_", " ") + (b.kernelCall ? ": " + b.kernelCall : "") },
    { title: "Request", wide: true, cell: b => b.path === undefined ? ""
      : b.method + " " + b.path + (b.route ? ", route " + b.route : "") },
    { title: "Last peer", wide: true, cell: b => b.peer ?? "" },
    { title: "Endpoint", wide: true, cell: b => b.endPoint ?? "" },
    { title: "Thread", numeric: true, cell: b => String(b.threadId) },
    { title: "Connection", className: "id", cell: b => b.connectionId ?? "" },
  ];

  // What blocks in the same way is one row, with the last one's details.
  function groupBlocked(listed) {
    const groups = new Map();
    for (const blocked of listed) {
      const key = JSON.stringify([blocked.cause, blocked.kernelCall, blocked.method, blocked.route ?? blocked.path, blocked.endPoint]);
      const group = groups.get(key) ?? { ...blocked, times: 0, longest: 0 };
      group.times++;
      group.longest = Math.max(group.longest, blocked.blockedSeconds);
      groups.set(key, group);
    }
    return [...groups.values()];
  }

  head(byId("endpoints"), endpointColumns);
  head(byId("blocked"), blockedColumns);
  head(byId("connections"), columns, column => {
    const button = make("button", "", column.title);
    button.type = "button";
    button.addEventListener("click", () => sortBy(column.key, query.sort === column.key ? !query.descending : column.numeric === true));
    column.head = make("th", column.numeric ? "num" : "", button);
    column.button = button;
    return column.head;
  });
  byId("sort").append(...columns.map(column => new Option(column.title, column.key)));

  function showOrder() {
    for (const column of columns) {
      const sorted = query.sort === column.key;
      column.button.textContent = column.title + (sorted ? (query.descending ? " ↓" : " ↑") : "");
      if (sorted) column.head.setAttribute("aria-sort", query.descending ? "descending" : "ascending");
      else column.head.removeAttribute("aria-sort");
    }
    byId("sort").value = query.sort;
    byId("order").textContent = query.descending ? "↓ greatest first" : "↑ least first";
  }

  function showEndpoints(state) {
    const rows = [
      ...state.endpoints.map(endpoint => ({ ...endpoint, address: endpoint.endPoint, servedBy: "netpoll" })),
      ...state.addresses.filter(entry => entry.servedBy !== "netpoll"),
    ];
    fill(byId("endpoints"), endpointColumns, rows, "The server listens nowhere.");
  }

  function showConnections(state) {
    const { open, matching, leftOut, listed } = state.connections;
    byId("connection-count").textContent = count(open) + " open"
      + (matching === open ? "" : ", " + count(matching) + " match the filter")
      + (leftOut === 0 ? "" : ", " + count(leftOut) + " of them left out here");
    fill(byId("connections"), columns, listed, open === 0 ? "Nobody is connected." : "None matches.");
  }

  function showBlocked(state) {
    const { thresholdSeconds, namesRequests, seen, listed } = state.blockedTurns;
    byId("blocked-count").textContent = thresholdSeconds === undefined ? "nobody looks: BlockedTurnThreshold is off"
      : "for more than " + time(thresholdSeconds) + "; " + count(seen) + " told of"
        + (seen > listed.length ? ", of which these are the last " + listed.length : "")
        + (namesRequests ? "" : "; NameBlockedRequests would name the requests");
    fill(byId("blocked"), blockedColumns, groupBlocked(listed), "None so far.");
  }

  function showAbout(state) {
    const { transport, process, at } = state;
    document.title = "netpoll · " + process.id;
    byId("about").textContent = [
      transport.backend === undefined ? null : transport.backend + ", " + plural(transport.workerCount, "worker") + " in "
        + plural(transport.workerGroupCount, "group") + ", app on " + transport.applicationScheduling,
      "process " + process.id + ", up for " + time((new Date(at) - new Date(process.startedAt)) / 1000),
      process.runtime + ", " + plural(process.processors, "processor"),
    ].filter(Boolean).join(" · ");
  }

  // Looking

  function setLive(text, className) {
    byId("live-text").textContent = text;
    byId("dot").className = className;
  }

  function show(state) {
    showAbout(state);
    showNotices(state);
    showTiles(state);
    showEndpoints(state);
    showConnections(state);
    showBlocked(state);
    charts.forEach(paint);
  }

  // In containers, each of them may be process 1.
  function isSameProcess(one, other) {
    return one.id === other.id && one.startedAt === other.startedAt;
  }

  function remember(state) {
    before = latest !== null && isSameProcess(latest.process, state.process) ? latest : null;
    latest = state;
    if (before === null) history.length = 0;
    else if (state.clock > before.clock) history.push({ clock: state.clock, values: charts.map(chart => chart.series.map(series => series.value(state, before))) });
    if (history.length > samplesKept) history.shift();
  }

  async function look() {
    clearTimeout(timer);
    asking?.abort();
    const mine = asking = new AbortController();
    const limit = setTimeout(() => mine.abort(), 10 * everyMilliseconds);
    let state = null;
    let isRefused = false;
    let problem = "";
    try {
      const parameters = new URLSearchParams({
        connections: query.limit, filter: query.filter, sort: (query.descending ? "-" : "") + query.sort });
      const response = await fetch(address + "?" + parameters,
        { cache: "no-store", credentials: "same-origin", redirect: "manual", signal: mine.signal });
      isRefused = response.type === "opaqueredirect" || response.status === 401 || response.status === 403;
      if (response.ok) state = await response.json();
      else problem = ". The server answers " + response.status + ".";
    } catch {
      // Nobody answers, or with something else.
    } finally {
      clearTimeout(limit);
    }
    if (asking !== mine) return;
    if (isRefused) {
      // It would be so every time: a login is over, or was never there.
      setLive("refused: log in again, and reload", "off");
      return;
    }
    schedule();
    if (state === null) {
      setLive("no answer" + (latest === null ? "" : " since " + new Date(latest.at).toLocaleTimeString()) + problem, "off");
      return;
    }
    remember(state);
    show(state);
    setLive(paused ? "paused" : "live, every " + everyMilliseconds / 1000 + " s", paused ? "" : "on");
  }

  // Nobody looks at a page that is hidden, and then nobody asks.
  function schedule() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(look, everyMilliseconds);
  }

  function sortBy(key, descending) {
    query.sort = key;
    query.descending = descending;
    showOrder();
    look();
  }

  let typing = 0;
  byId("filter").addEventListener("input", event => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      query.filter = event.target.value.trim();
      look();
    }, 250);
  });
  byId("sort").addEventListener("change", event =>
    sortBy(event.target.value, columns.find(column => column.key === event.target.value).numeric === true));
  byId("order").addEventListener("click", () => sortBy(query.sort, !query.descending));
  byId("limit").addEventListener("change", event => {
    query.limit = event.target.value;
    look();
  });
  byId("controls").addEventListener("submit", event => event.preventDefault());
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").textContent = paused ? "Go on" : "Pause";
    if (paused) {
      clearTimeout(timer);
      setLive("paused", "");
    } else {
      look();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!paused) look();
  });
  if (matchMedia("(max-width: 760px)").matches) query.limit = byId("limit").value = 25;
  showOrder();
  look();
})();
