// A turn is somebody's stay at one view of one patient. What was asked in a turn is shown in that turn or not at all: an
// answer that comes after somebody went on must not appear under another patient's name.

/** That a turn is over: whoever waits in it goes no further, and nothing is said. */
export class Over extends Error {
  constructor() {
    super("another view is shown");
    this.code = "over";
  }
}

export class Turn {
  #controller = new AbortController();
  #inner = null;

  get signal() { return this.#controller.signal; }
  get isOver() { return this.signal.aborted; }
  end() { this.#controller.abort(); }

  /** Throws where the turn is over. */
  check() {
    if (this.isOver) throw new Over();
  }

  /** What a promise gives, while the turn lasts; what it gives or throws later is dropped. */
  async of(promise) {
    let value;
    try {
      value = await promise;
    } catch (error) {
      this.check();
      throw error;
    }
    this.check();
    return value;
  }

  /** A turn within this one, which ends with it, and when the next one within begins. */
  inner() {
    this.#inner?.end();
    const next = new Turn();
    this.#inner = next;
    if (this.isOver) next.end();
    else this.signal.addEventListener("abort", () => next.end(), { once: true });
    return next;
  }
}

/** Runs what somebody started: nothing comes of it where its turn ended; else what it throws is `told`. */
export async function run(work, told) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Over)) told(error);
  }
}
