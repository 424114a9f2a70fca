/**
 * The demo's shop with the agent, started as a user would start it, and its customers. The agent gets its folder, the
 * demo's horizon and what the test names; nothing else.
 */
"use strict";
const { join } = require("node:path");
const { ServiceProcess, freePort } = require("../../benchmarks/accuracy/service-process");
const { readFindings } = require("../../benchmarks/accuracy/findings-file");
const { SCENARIOS } = require("../../examples/shop/scenarios");
const { ShopLoad } = require("../../scripts/demo/shop-load");
const { ROOT, cleanEnvironment } = require("../harness/service");

/** As in scripts/demo.js. */
const HORIZON = "15s";
/** The load ends by itself, should a test forget it. */
const LONGEST_SECONDS = 600;
const POLL_MILLIS = 200;

class ShopRun {
  /** @param seed of the demo. @param isFixed whether every part is repaired. @param folder the agent's. */
  static async start({ seed, isFixed = false, folder, env = {}, node = process.execPath }) {
    const run = new ShopRun();
    const scenario = SCENARIOS[seed - 1];
    Object.assign(run, { scenario, folder });
    run.service = new ServiceProcess({
      node,
      args: ["-r", ROOT, "server.js"],
      cwd: join(ROOT, "examples/shop"),
      env: {
        ...cleanEnvironment(),
        NODE_ENV: "production",
        ...(isFixed ? {} : { SHOP_BEFORE: scenario.part }),
        LEAK_AGENT_HORIZON: HORIZON,
        LEAK_AGENT_DIR: folder,
        ...env,
      },
      port: await freePort(),
    });
    await run.service.listening();
    run.load = new ShopLoad({ port: run.service.port, favoured: scenario.request, seconds: LONGEST_SECONDS, seed });
    return run;
  }

  get findings() {
    return readFindings(this.folder);
  }

  /** Waits until `condition()` is truthy. @throws when the shop ends first or it takes longer than `seconds`. */
  async until(condition, what, seconds = 300) {
    const end = Date.now() + seconds * 1_000;
    for (;;) {
      const value = await condition();
      if (value) return value;
      if (this.service.exited !== null) throw new Error(`the shop ended before ${what}\n${this.service.tail}`);
      if (Date.now() > end) throw new Error(`${seconds} s without: ${what}\n${this.service.agentLines.join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
  }

  async stop() {
    await this.load?.stop();
    this.load = undefined;
    await this.service.stop();
  }
}

module.exports = { HORIZON, ShopRun };
