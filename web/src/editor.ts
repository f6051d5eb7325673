// The editor: CodeMirror with the line that is running, and how long each line took.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { python } from "@codemirror/lang-python";
import { StreamLanguage, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, RangeSet, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  GutterMarker,
  drawSelection,
  gutter,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { nonce } from "./common";

/** Where a program is, and how often each of its lines was seen running. */
interface Trace {
  line: number | null;
  heat: Map<number, number>;
}

const setTrace = StateEffect.define<Trace>();

const trace = StateField.define<Trace>({
  create: () => ({ line: null, heat: new Map() }),
  update(value, change) {
    for (const effect of change.effects) if (effect.is(setTrace)) return effect.value;
    // Lines that were typed since are not those that ran.
    return change.docChanged && value.heat.size ? { line: value.line, heat: new Map() } : value;
  },
});

const running = EditorView.decorations.compute([trace, "doc"], (state) => {
  const { line } = state.field(trace);
  if (line === null || line < 1 || line > state.doc.lines) return Decoration.none;
  return Decoration.set(Decoration.line({ class: "cm-running" }).range(state.doc.line(line).from));
});

/** A bar as long as the share of the time that a line took, in steps of an eighth. */
class Heat extends GutterMarker {
  constructor(
    readonly eighths: number,
    readonly percent: number,
  ) {
    super();
  }
  override eq(other: Heat) {
    return other.eighths === this.eighths && other.percent === this.percent;
  }
  override toDOM() {
    const bar = document.createElement("span");
    bar.className = `heat heat-${this.eighths}`;
    bar.title = `${this.percent} % of the time`;
    return bar;
  }
}

const heat = gutter({
  class: "cm-heat",
  markers(view) {
    const { heat } = view.state.field(trace);
    const all = [...heat.values()].reduce((sum, count) => sum + count, 0);
    const most = Math.max(1, ...heat.values());
    const lines = [...heat].filter(([line]) => line >= 1 && line <= view.state.doc.lines).sort(([a], [b]) => a - b);
    return RangeSet.of(
      lines.map(([line, count]) =>
        new Heat(Math.ceil((8 * count) / most), Math.round((100 * count) / all)).range(view.state.doc.line(line).from),
      ),
    );
  },
  initialSpacer: () => new Heat(0, 0),
});

/** The language of a file of that name. */
function language(name: string): Extension {
  const extension = name.split(".").pop()?.toLowerCase();
  if (extension === "py") return [python(), indentUnit.of("    ")];
  if (extension === "js" || extension === "mjs" || extension === "ts" || extension === "json") return javascript();
  if (extension === "sh" || extension === "bash") return StreamLanguage.define(shell);
  return [];
}

export class Editor {
  private readonly view: EditorView;
  private readonly language = new Compartment();

  /**
   * In that element, with a text; `changed` is called when it is typed into, `done` at Ctrl-Enter, `save` at Ctrl-S. One that `runs` has
   * room beside each line for how long it took. A text that `hasOtherEnds` keeps those ends of lines that are none here.
   */
  constructor(
    parent: HTMLElement,
    label: string,
    text: string,
    name: string,
    { changed, done, save, runs = false, hasOtherEnds = false }: { changed: () => void; done: () => void; save: () => void; runs?: boolean; hasOtherEnds?: boolean },
  ) {
    const keys = keymap.of([
      { key: "Mod-Enter", run: () => (done(), true) },
      { key: "Mod-s", run: () => (save(), true) },
      // Escape, then Tab, leaves the editor: CodeMirror's own rule for the keyboard.
      indentWithTab,
      ...defaultKeymap,
      ...historyKeymap,
      ...searchKeymap,
    ]);
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce),
          lineNumbers(),
          trace,
          runs ? [heat, running] : [],
          hasOtherEnds ? EditorState.lineSeparator.of("\n") : [],
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          highlightActiveLine(),
          search({ top: true }),
          syntaxHighlighting(classHighlighter),
          this.language.of(language(name)),
          EditorView.contentAttributes.of({ "aria-label": label, autocapitalize: "off", spellcheck: "false" }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed();
          }),
          keys,
        ],
      }),
    });
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  set text(text: string) {
    const { length } = this.view.state.doc;
    this.view.dispatch({ changes: { from: 0, to: length, insert: text }, selection: { anchor: 0 } });
  }

  set name(name: string) {
    this.view.dispatch({ effects: this.language.reconfigure(language(name)) });
  }

  /** Shows the line that runs, if any, and how often each was seen. */
  show(line: number | null, heat: ReadonlyMap<number, number>): void {
    this.view.dispatch({ effects: setTrace.of({ line, heat: new Map(heat) }) });
  }

  /** Puts the cursor at a line. */
  goTo(number: number): void {
    const { doc } = this.view.state;
    const { from, to } = doc.line(Math.min(Math.max(number, 1), doc.lines));
    this.view.dispatch({
      selection: { anchor: from, head: to },
      effects: EditorView.scrollIntoView(from, { y: "center" }),
    });
    this.view.focus();
  }

  focus(): void {
    this.view.focus();
  }

  remove(): void {
    this.view.destroy();
  }
}
