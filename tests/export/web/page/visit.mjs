// Drives a headless Chromium over the page, and prints what was seen as JSON.
//
//     node visit.mjs CHROMIUM URL '{"SCENARIO": VALUE, ...}'      the scenarios, in this order, on one page

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, url, asked] = process.argv.slice(2);
const WAIT = 120_000;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const seen = { console: [], errors: [], requests: [] };
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
page.setDefaultTimeout(WAIT);
page.on("console", (message) => seen.console.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("request", (request) => seen.requests.push(request.url()));

const opened = async (where = url, ready = "#app:not([hidden])") => {
  await page.goto(where);
  await page.waitForSelector(ready);
};

// What is shown, in places of the catalogue, once something was done and the lists and all reasons of it are there.
const after = async (act) => {
  await page.evaluate(() => performance.clearMeasures());
  await act();
  await page.waitForFunction(
    () => performance.getEntriesByName("reasons").length === document.querySelectorAll(".model").length,
  );
  return page.evaluate(() => ({
    status: document.getElementById("status").textContent,
    history: [...document.querySelectorAll("#history button")].map((b) => Number(b.dataset.place)),
    lists: [...document.querySelectorAll(".model")].map((model) => ({
      label: model.querySelector("h3").textContent,
      items: [...model.querySelectorAll(".card")].map((card) => Number(card.dataset.place)),
      titles: [...model.querySelectorAll(".title")].map((title) => title.textContent),
      because: [...model.querySelectorAll(".because")].map((line) => line.textContent.trim()),
    })),
  }));
};

const choose = async (title) => {
  await page.fill("#search", title);
  await page.waitForSelector("#found [role=option]:not(.none)");
  await page.click("#found [role=option]:first-child");
};

const clear = async () => {
  if (await page.isVisible("#clear")) await page.click("#clear");
};

const axe = async () => {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`);
};

const kept = () => page.evaluate(() => ({ ...localStorage }));

const focus = () =>
  page.evaluate(() => {
    const at = document.activeElement;
    const card = at.closest(".card");
    return {
      id: at.id,
      rank: card ? [...card.parentElement.children].indexOf(card) : -1,
      model: at.closest(".model")?.querySelector("h3").textContent ?? "",
      chosen: Boolean(at.closest("#history")),
    };
  });

const press = async (key, until) => {
  for (let times = 0; times < 80; times += 1) {
    await page.keyboard.press(key);
    const at = await focus();
    if (until(at)) return at;
  }
  throw new Error(`${key} never comes to ${until}`);
};

const scenarios = {
  async check() {
    await opened(`${url}?check`, "#check[data-result]");
    return {
      result: await page.getAttribute("#check", "data-result"),
      said: await page.textContent("#check-said"),
      cases: await page.$$eval("#check-cases li", (lines) => lines.map((line) => line.textContent)),
      focus: (await focus()).id,
      axe: await axe(),
    };
  },

  async chosen({ titles, category }) {
    const found = { before: await page.textContent("#status"), steps: [] };
    for (const title of titles) found.steps.push(await after(() => choose(title)));
    const options = await page.$$eval("#filter option", (all) => all.map((option) => [option.value, option.textContent]));
    found.options = options.map(([, text]) => text);
    const [picked] = options.find(([, text]) => text.startsWith(category));
    found.filtered = await after(() => page.selectOption("#filter", picked));
    found.kept = await kept();
    found.reloaded = await after(() => opened());
    await clear();
    found.after = { status: await page.textContent("#status"), kept: await kept(), focus: (await focus()).id };
    await page.fill("#search", "zzzz");
    found.nothing = await page.textContent("#found");
    await page.fill("#search", "ilm 1005");
    found.within = await page.textContent("#found");
    await page.fill("#search", "");
    return found;
  },

  async keyboard(typed) {
    await clear();
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("Tab");
    const found = { first: await press("Tab", ({ id }) => id === "search") };
    await page.keyboard.type(typed);
    await page.waitForSelector("#found [role=option]");
    await page.keyboard.press("ArrowDown");
    found.active = await page.evaluate(() => {
      const input = document.getElementById("search");
      const option = document.getElementById(input.getAttribute("aria-activedescendant"));
      return [input.getAttribute("aria-expanded"), option.getAttribute("aria-selected"), Number(option.dataset.place)];
    });
    found.one = await after(() => page.keyboard.press("Enter"));
    found.stays = await focus();
    found.second = await press("Tab", ({ rank }) => rank === 1);
    found.two = await after(() => page.keyboard.press("Enter"));
    found.kept = await focus();
    await press("Shift+Tab", ({ chosen }) => chosen);
    found.three = await after(() => page.keyboard.press("Enter"));
    found.last = await focus();
    await press("Shift+Tab", ({ id }) => id === "search");
    await page.keyboard.type(typed);
    await page.keyboard.press("Escape");
    found.closed = await page.getAttribute("#search", "aria-expanded");
    await page.fill("#search", "");
    return found;
  },

  async looks(title) {
    const found = {};
    const widest = () => page.evaluate(() => document.documentElement.scrollWidth);
    for (const width of [390, 1280])
      for (const colorScheme of ["light", "dark"]) {
        await clear();
        await page.setViewportSize({ width, height: 844 });
        await page.emulateMedia({ colorScheme });
        const report = { widths: [await widest()], axe: await axe() };
        await after(() => choose(title));
        report.widths.push(await widest());
        report.axe.push(...(await axe()));
        await page.fill("#search", "film");
        await page.waitForSelector("#found [role=option]");
        report.widths.push(await widest());
        report.axe.push(...(await axe()));
        report.paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        found[`${width} ${colorScheme}`] = report;
        await page.fill("#search", "");
      }
    return found;
  },

  // elsewhere: the address of another server.
  async policy(elsewhere) {
    const before = [seen.console.length, seen.errors.length, seen.requests.length];
    const reach = (address) =>
      fetch(address, { mode: "no-cors" }).then(
        () => "reached",
        () => "refused",
      );
    const found = {
      page: await page.evaluate(reach, elsewhere),
      workers: await Promise.all(page.workers().map((worker) => worker.evaluate(reach, elsewhere))),
    };
    found.inline = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.head.append(script);
      return window.injected === true;
    });
    found.handler = await page.evaluate(() => {
      const button = document.createElement("button");
      button.setAttribute("onclick", "window.clicked = true");
      document.body.append(button);
      button.click();
      return window.clicked === true;
    });
    // What was tried here is told in the console, and is no fault of the page.
    [seen.console.length, seen.errors.length, seen.requests.length] = before;
    return found;
  },

  // Two films, each chosen in a tab of its own; then all is cleared in the first, and another chosen in the second.
  async tabs([one, two, three]) {
    await clear();
    const other = await context.newPage();
    await other.goto(url);
    await other.waitForSelector("#app:not([hidden])");
    const chosen = (tab) => tab.$$eval("#history button", (all) => all.map((button) => button.textContent));
    const lasts = (tab, count) =>
      tab.waitForFunction((n) => document.querySelectorAll("#history button").length === n, count);
    const pick = async (tab, title) => {
      await tab.fill("#search", title);
      await tab.click("#found [role=option]:first-child");
    };
    await pick(page, one);
    await lasts(other, 1);
    await pick(other, two);
    await lasts(page, 2);
    const found = { both: [await chosen(page), await chosen(other)] };
    await page.click("#clear");
    await lasts(other, 0);
    await pick(other, three);
    await lasts(page, 1);
    found.left = [await chosen(page), await chosen(other)];
    await other.close();
    return found;
  },

  // A question that the worker fails on, then one that it answers; and a self-test that it fails on.
  async fails([one, two, three]) {
    await clear();
    await after(() => choose(one));
    const [worker] = page.workers();
    await worker.evaluate(() => {
      globalThis.kept = BigInt64Array.from;
      BigInt64Array.from = () => {
        throw new RangeError("no memory is left");
      };
    });
    await choose(two);
    await page.waitForSelector("#error:not(:empty)");
    const state = () =>
      page.evaluate(() => ({
        error: document.getElementById("error").textContent,
        status: document.getElementById("status").textContent,
        cards: document.querySelectorAll(".card").length,
      }));
    const found = { failed: await state() };
    await worker.evaluate(() => (BigInt64Array.from = globalThis.kept));
    await after(() => choose(three));
    found.answered = await state();
    return found;
  },

  // Enter while characters are being composed, as for Japanese titles, picks these and no film.
  async composing(typed) {
    await clear();
    await page.fill("#search", typed);
    await page.waitForSelector("#found [role=option]");
    const press = (isComposing) =>
      page.$eval(
        "#search",
        (input, composing) =>
          input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: composing, bubbles: true })),
        isComposing,
      );
    const chosen = () => page.$$eval("#history button", (all) => all.length);
    await press(true);
    const found = { during: await chosen() };
    await press(false);
    return { ...found, then: await chosen() };
  },

  // The page's worker cannot start, and says so before anything is asked of it.
  async unstarted() {
    const other = await context.newPage();
    await other.route("**/worker.js", (route) => route.fulfill({ contentType: "text/javascript", body: "throw new Error('no')" }));
    await other.route("**/recommender.json", async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue();
    });
    await other.goto(url);
    await other.waitForSelector("#error:not(:empty)");
    const error = await other.textContent("#error");
    await other.close();
    return error;
  },

  // How wide the page is on a phone with a category of very many letters.
  async wide(letters) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.$eval("#filter", (select, text) => select.append(new Option(text, "0")), letters);
    return page.evaluate(() => document.documentElement.scrollWidth);
  },

  async broken() {
    await opened(url, "#error:not(:empty)");
    return { error: await page.textContent("#error"), app: await page.isVisible("#app") };
  },
};

const found = { seen };
for (const [name, value] of Object.entries(JSON.parse(asked))) found[name] = await scenarios[name](value);
await browser.close();
console.log(JSON.stringify(found));
