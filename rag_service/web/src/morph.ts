/** Makes one tree of nodes look like another and touches only what differs: no flicker, no lost focus or selection. */

/** Afterwards `into` has the children of `from`, which is used up. */
export function morph(into: Node, from: Node): void {
  let current = into.firstChild;
  let wanted = from.firstChild;
  while (wanted) {
    const next = wanted.nextSibling;
    if (!current) {
      into.appendChild(wanted);
    } else {
      const after: ChildNode | null = current.nextSibling;
      if (current.nodeType === wanted.nodeType && current.nodeName === wanted.nodeName)
        become(current, wanted);
      else into.replaceChild(wanted, current);
      current = after;
    }
    wanted = next;
  }
  while (current) {
    const after: ChildNode | null = current.nextSibling;
    current.remove();
    current = after;
  }
}

function become(current: ChildNode, wanted: ChildNode): void {
  if (current instanceof Element && wanted instanceof Element) {
    for (const { name } of [...current.attributes])
      if (!wanted.hasAttribute(name)) current.removeAttribute(name);
    for (const { name, value } of wanted.attributes) {
      if (current.getAttribute(name) !== value) current.setAttribute(name, value);
    }
    morph(current, wanted);
  } else if (current.nodeValue !== wanted.nodeValue) {
    current.nodeValue = wanted.nodeValue;
  }
}
