// The self-test: every model gives its golden lists here (docs/model-file.md), opened as index.html?check.
//
//     await check(engine, document)

export const check = async (engine, page) => {
  const section = page.getElementById("check");
  const said = page.getElementById("check-said");
  section.hidden = false;
  let cases;
  try {
    cases = await engine.check();
  } catch (error) {
    said.textContent = `The self-test did not end: ${error.message}`;
    section.dataset.result = "fail";
    return;
  }
  const wrong = cases.filter((each) => each.wrong);
  page.getElementById("check-cases").append(
    ...cases.map((each) => {
      const line = page.createElement("li");
      line.className = each.wrong ? "wrong" : "right";
      line.textContent = `${each.wrong ? "Fail" : "Pass"}: ${each.model}, ${each.name}${each.wrong ? `: ${each.wrong}` : ""}`;
      return line;
    }),
  );
  said.textContent = wrong.length
    ? `${wrong.length} of ${cases.length} cases give other lists than when the models were exported.`
    : `All ${cases.length} cases give the lists that the models gave when they were exported.`;
  section.dataset.result = wrong.length ? "fail" : "pass";
  page.getElementById("check-title").focus();
};
