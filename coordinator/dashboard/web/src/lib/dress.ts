// Style sheets come inside the scripts that need them: what is drawn has its looks, and no file is waited for besides.
export function dress(css: string): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets.push(sheet);
}
