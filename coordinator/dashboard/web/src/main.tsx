import tokens from "./styles/tokens.css?inline";
import base from "./styles/base.css?inline";
import frame from "./styles/frame.css?inline";
import { render } from "preact";
import { App, begin } from "./app";
import { dress } from "./lib/dress";

dress(tokens + base + frame);
const root = document.getElementById("page");
if (root) void begin(() => render(<App />, root));
