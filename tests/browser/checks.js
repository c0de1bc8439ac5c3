// Faults of a page, as a list of texts: what a reader who cannot see well, or has a small window,
// would meet.
(() => {
  const faults = [];
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const color = (text) => {
    const [r, g, b, a] = (text.match(/[\d.]+/g) || []).map(Number);
    return [r, g, b, a === undefined ? 1 : a];
  };
  const over = (top, share, below) => below.map((c, i) => top[i] * share + c * (1 - share));
  const paper = color(getComputedStyle(document.body).backgroundColor).slice(0, 3);
  const background = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.push(e);
    return chain.reverse().reduce((below, e) => {
      const c = color(getComputedStyle(e).backgroundColor);
      return over(c, c[3], below);
    }, [255, 255, 255]);
  };

  // Texts of HTML.
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest('svg')) continue;
    const found = contrast(color(getComputedStyle(element).color).slice(0, 3), background(element));
    if (found < 4.5) faults.push(`contrast ${found.toFixed(2)}: ${element.outerHTML.slice(0, 80)}`);
    texts += 1;
  }

  // Pictures: their words, and texts on what lies below them.
  for (const svg of all('svg')) {
    const name = (svg.querySelector('title') || {}).textContent;
    if (svg.getAttribute('role') !== 'img') faults.push(`no role: ${name}`);
    const ids = (svg.getAttribute('aria-labelledby') || '').split(' ');
    const words = ids.map((id) => (document.getElementById(id) || {}).textContent || '');
    if (ids.length !== 2 || words.some((word) => !word.trim())) faults.push(`no words: ${name}`);
    const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
    const before = [];
    for (const e of all('rect,text', svg)) {
      const box = e.getBBox();
      if (e.tagName === 'rect') {
        before.push([box, color(getComputedStyle(e).fill), Number(e.getAttribute('opacity') || 1)]);
        continue;
      }
      const turned = (e.getAttribute('transform') || '').includes('rotate');
      const at = turned ? e.getBoundingClientRect() : null;
      const frame = svg.getBoundingClientRect();
      const scale = width / frame.width;
      const place = turned
        ? { x: (at.x - frame.x) * scale, y: (at.y - frame.y) * scale,
            width: at.width * scale, height: at.height * scale }
        : box;
      if (place.x < -1 || place.y < -1 || place.x + place.width > width + 1 ||
          place.y + place.height > height + 1) {
        faults.push(`cut off in ${name}: ${e.textContent.trim()}`);
      }
      const [x, y] = [place.x + place.width / 2, place.y + place.height / 2];
      const below = before.reduce((ground, [b, fill, opacity]) =>
        x >= b.x && x <= b.x + b.width && y >= b.y && y <= b.y + b.height
          ? over(fill, opacity, ground) : ground, paper);
      const found = contrast(color(getComputedStyle(e).fill).slice(0, 3), below);
      if (found < 4.5) faults.push(`contrast ${found.toFixed(2)} in ${name}: ${e.textContent}`);
      texts += 1;
    }
  }

  // Structure.
  const levels = all('h1,h2,h3,h4').map((h) => Number(h.tagName[1]));
  const firsts = levels.filter((level) => level === 1).length;
  if (levels[0] !== 1 || firsts !== 1) faults.push('not one h1 first');
  levels.forEach((l, i) => { if (i && l > levels[i - 1] + 1) faults.push(`heading ${i} skips`); });
  for (const table of all('table')) {
    if (!table.caption || !table.caption.textContent.trim()) faults.push('a table without caption');
    if (all('th', table).some((th) => !th.scope)) faults.push('a th without scope');
  }
  const seen = new Set();
  for (const e of all('[id]')) {
    if (seen.has(e.id)) faults.push(`id ${e.id} twice`);
    seen.add(e.id);
  }
  for (const a of all('a[href^="#"]')) {
    if (!document.getElementById(a.hash.slice(1))) faults.push(`link to nothing: ${a.hash}`);
  }
  if (!document.documentElement.lang || !document.title) faults.push('no language or title');
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`${wide} pixels wide in ${innerWidth}`);
  if (all('script').length) faults.push('a script');
  return { faults, texts, pictures: all('svg').length, paper };
})()
