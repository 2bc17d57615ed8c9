import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import { render } from "preact";
import { App, begin } from "./app";

const root = document.getElementById("page");
if (root) void begin().then(() => render(<App />, root));
