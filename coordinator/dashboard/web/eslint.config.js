import tseslint from "typescript-eslint";

const text = "text stands in text nodes alone (DASHBOARD §10)";

export default tseslint.config(
  { ignores: ["dist", "node_modules"] },
  ...tseslint.configs.strict,
  {
    files: ["**/*.{ts,tsx}"],
    rules: {
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property, message: text })),
        { object: "document", property: "write", message: text },
        { property: "localStorage", message: "preferences.ts alone; never a secret" },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: text },
        { selector: "AssignmentExpression[left.property.name=/^(innerHTML|outerHTML)$/]", message: text },
        { selector: "NewExpression[callee.name='Function']", message: "no code from text" },
      ],
      "no-restricted-globals": [
        "error",
        { name: "eval", message: "no code from text" },
        { name: "localStorage", message: "preferences.ts alone; never a secret" },
      ],
      eqeqeq: ["error", "always"],
    },
  },
  // It looks into the stores to see that nothing is there.
  { files: ["browser/**"], languageOptions: { globals: { console: "readonly", process: "readonly" } } },
  { files: ["src/lib/preferences.ts"], rules: { "no-restricted-globals": "off" } },
  // They look that nothing is kept.
  { files: ["test/pages.test.tsx"], rules: { "no-restricted-properties": "off" } },
);
