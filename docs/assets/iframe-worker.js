// Browsers start no workers for pages that lie in files: there the search's worker runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html><title>search</title>";
      this.ready = new Promise((done, failed) => {
        this.frame.addEventListener("load", () => this.start(address, done, failed), {once: true});
      });
      document.body.append(this.frame);
    }

    // What the worker posts comes out here; its script is loaded before it is told anything.
    start(address, done, failed) {
      const inner = this.frame.contentWindow;
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}));
      const script = inner.document.createElement("script");
      script.addEventListener("load", done);
      script.addEventListener("error", failed);
      script.src = address;
      inner.document.head.append(script);
    }

    postMessage(data) {
      this.ready.then(() => {
        const inner = this.frame.contentWindow;
        inner.dispatchEvent(new inner.MessageEvent("message", {data}));
      });
    }

    terminate() {
      this.frame.remove();
    }
  };
}
