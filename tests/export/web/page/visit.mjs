// Drives a headless Chromium over the page, and prints what was seen as JSON.
//
//     node visit.mjs CHROMIUM URL SCENARIO [VALUE]

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, url, scenario, value] = process.argv.slice(2);
const WAIT = 120_000;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const seen = { console: [], errors: [], requests: [] };

const opened = async (options = {}, where = url, ready = "#app:not([hidden])") => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => seen.console.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("request", (request) => seen.requests.push(request.url()));
  await page.goto(where);
  await page.waitForSelector(ready);
  return page;
};

// Everything that is shown once a question is answered, in places of the catalogue.
const shown = async (page, chosen) => {
  await page.waitForFunction(
    (count) =>
      document.getElementById("status").textContent.includes(`from ${count} `) &&
      performance.getEntriesByName("reasons").length > 0,
    chosen,
  );
  await page.waitForTimeout(700); // the reasons of all models
  return page.evaluate(() => ({
    status: document.getElementById("status").textContent,
    history: [...document.querySelectorAll("#history button")].map((b) => Number(b.dataset.place)),
    lists: [...document.querySelectorAll(".model")].map((model) => ({
      label: model.querySelector("h3").textContent,
      help: model.querySelector(".help")?.textContent ?? "",
      items: [...model.querySelectorAll(".card")].map((card) => Number(card.dataset.place)),
      titles: [...model.querySelectorAll(".title")].map((title) => title.textContent),
      because: [...model.querySelectorAll(".because")].map((line) => line.textContent.trim()),
    })),
  }));
};

const choose = async (page, title) => {
  await page.fill("#search", title);
  await page.waitForSelector("#found [role=option]:not(.none)");
  await page.click("#found [role=option]:first-child");
};

const axe = async (page) => {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`);
};

const kept = (page) => page.evaluate(() => ({ ...localStorage }));

const scenarios = {
  // value: titles to choose, then a category, as JSON.
  async chosen() {
    const { titles, category } = JSON.parse(value);
    const page = await opened();
    const found = { before: await page.textContent("#status"), steps: [] };
    for (const [count, title] of titles.entries()) {
      await choose(page, title);
      found.steps.push(await shown(page, count + 1));
    }
    const options = await page.$$eval("#filter option", (all) => all.map((option) => [option.value, option.textContent]));
    found.options = options.map(([, text]) => text);
    const picked = options.find(([, text]) => text.startsWith(category))[0];
    await page.evaluate(() => performance.clearMeasures());
    await page.selectOption("#filter", picked);
    await page.waitForFunction(() => performance.getEntriesByName("reasons").length > 0);
    found.filtered = await shown(page, titles.length);
    found.kept = await kept(page);
    await page.reload();
    found.reloaded = await shown(page, titles.length);
    await page.click("#clear");
    found.after = { status: await page.textContent("#status"), kept: await kept(page) };
    found.focus = await page.evaluate(() => document.activeElement.id);
    await page.fill("#search", "zzzz");
    found.nothing = await page.textContent("#found");
    return found;
  },

  // value: what is typed.
  async keyboard() {
    const page = await opened();
    const focus = () =>
      page.evaluate(() => {
        const at = document.activeElement;
        const card = at.closest(".card");
        const model = at.closest(".model");
        return {
          id: at.id,
          text: at.textContent.slice(0, 60),
          rank: card ? [...card.parentElement.children].indexOf(card) : -1,
          model: model?.querySelector("h3").textContent ?? "",
        };
      });
    await page.keyboard.press("Tab");
    const found = { first: await focus() };
    await page.keyboard.type(value);
    await page.waitForSelector("#found [role=option]");
    await page.keyboard.press("ArrowDown");
    found.active = await page.evaluate(() => {
      const input = document.getElementById("search");
      const option = document.getElementById(input.getAttribute("aria-activedescendant"));
      return [input.getAttribute("aria-expanded"), option.getAttribute("aria-selected"), Number(option.dataset.place)];
    });
    await page.keyboard.press("Enter");
    found.one = await shown(page, 1);
    found.stays = await focus();
    const until = async (wanted) => {
      for (let times = 0; times < 60; times += 1) {
        await page.keyboard.press("Tab");
        const at = await focus();
        if (wanted(at)) return at;
      }
      return null;
    };
    found.second = await until(({ rank }) => rank === 1);
    await page.keyboard.press("Enter");
    found.two = await shown(page, 2);
    found.kept = await focus();
    for (let times = 0; times < 60 && !(await page.evaluate(() => document.activeElement.closest("#history"))); times += 1)
      await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    found.three = await shown(page, 1);
    found.last = await page.evaluate(() => Boolean(document.activeElement.closest("#history")));
    await page.focus("#search");
    await page.keyboard.type("film");
    await page.keyboard.press("Escape");
    found.closed = await page.getAttribute("#search", "aria-expanded");
    return found;
  },

  // value: an address of another server.
  async policy() {
    const page = await opened();
    await page.waitForFunction(() => true);
    const reach = (address) =>
      fetch(address, { mode: "no-cors" }).then(
        () => "reached",
        () => "refused",
      );
    const found = {
      page: await page.evaluate(reach, value),
      workers: await Promise.all(page.workers().map((worker) => worker.evaluate(reach, value))),
    };
    found.inline = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.head.append(script);
      return window.injected === true;
    });
    found.eval = await page.evaluate(() => {
      const button = document.createElement("button");
      button.setAttribute("onclick", "window.clicked = true");
      document.body.append(button);
      button.click();
      return window.clicked === true;
    });
    return found;
  },

  // value: a title to choose.
  async looks() {
    const found = {};
    for (const [width, colorScheme] of [[390, "light"], [390, "dark"], [1280, "light"], [1280, "dark"]]) {
      const page = await opened({ viewport: { width, height: 844 }, colorScheme });
      const widest = () => page.evaluate(() => document.documentElement.scrollWidth);
      const report = { widths: [await widest()], axe: await axe(page) };
      await choose(page, value);
      await shown(page, 1);
      report.widths.push(await widest());
      report.axe.push(...(await axe(page)));
      await page.fill("#search", "film");
      await page.waitForSelector("#found [role=option]");
      report.widths.push(await widest());
      report.axe.push(...(await axe(page)));
      report.paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      found[`${width} ${colorScheme}`] = report;
      await page.context().close();
    }
    return found;
  },

  async check() {
    const page = await opened({}, `${url}?check`, "#check[data-result]");
    return {
      result: await page.getAttribute("#check", "data-result"),
      said: await page.textContent("#check-said"),
      cases: await page.$$eval("#check-cases li", (lines) => lines.map((line) => line.textContent)),
      axe: await axe(page),
    };
  },

  async broken() {
    const page = await opened({}, url, "#error:not(:empty)");
    return { error: await page.textContent("#error"), app: await page.isVisible("#app") };
  },
};

const found = await scenarios[scenario]();
await browser.close();
console.log(JSON.stringify({ ...found, ...{ seen } }));
