// The driver's protocol for the JavaScript clients: one command a line on standard input, one answer a line on standard output.

import readline from 'node:readline'

export class NotApplicable extends Error {}

// An error with Kafka's code.
export class Coded extends Error {
  constructor(message, code) {
    super(message)
    this.code = code
  }
}

// Answers every command by the function of its name, until standard input ends. `code` finds Kafka's number in an error.
export async function serve(commands, code) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...given } = JSON.parse(line)
    let answer
    try {
      answer = { ok: (await commands[name](given)) ?? {} }
    } catch (e) {
      answer = e instanceof NotApplicable ? { na: e.message } : { error: String(e?.message ?? e), code: e instanceof Coded ? e.code : code(e) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}

export const text = bytes => (bytes === null || bytes === undefined ? null : bytes.toString())

// What a consumer that pushes its records holds until the driver asks for them.
export class Held {
  records = []
  owned = []
  failed = null

  async drain(ms) {
    const deadline = Date.now() + ms
    while (!this.records.length && !this.failed && Date.now() < deadline) await new Promise(r => setTimeout(r, 5))
    if (this.failed) {
      const e = this.failed
      this.failed = null
      throw e
    }
    return { records: this.records.splice(0), assignment: this.owned }
  }
}
