import js from "@eslint/js";
import importX from "eslint-plugin-import-x";
import globals from "globals";

export default [
  { ...js.configs.recommended, files: ["pages/static/**/*.js"] },
  {
    files: ["pages/static/**/*.js"],
    languageOptions: { globals: globals.browser },
    plugins: { "import-x": importX },
    rules: {
      "import-x/no-cycle": "error",
      "import-x/no-unresolved": "error",
      "no-restricted-globals": ["error", { name: "fetch", message: "Send requests with shell/rest.js." }],
    },
  },
  { files: ["pages/static/shell/rest.js"], rules: { "no-restricted-globals": "off" } },
];
