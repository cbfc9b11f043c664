/** Registers an element unless the page has it already: a widget included twice must not fail. */
export function define(name: string): (element: CustomElementConstructor) => void {
  return (element) => {
    if (!customElements.get(name)) customElements.define(name, element);
  };
}
