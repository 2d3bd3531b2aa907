// A field in which titles are typed, with a list below it: the combobox pattern of the ARIA Authoring Practices.
//
//     combobox(input, list, (text) => places, (option, place) => ..., (place) => ...)

export const combobox = (input, list, find, fill, choose) => {
  let active = -1;

  const close = () => {
    list.hidden = true;
    list.replaceChildren();
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (number) => {
    const options = [...list.children].filter((option) => option.getAttribute("role") === "option");
    if (options.length === 0) return;
    active = (number + options.length) % options.length;
    options.forEach((option, place) => option.setAttribute("aria-selected", String(place === active)));
    options[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[active].id);
  };

  const take = (place) => {
    input.value = "";
    close();
    choose(place);
  };

  const open = () => {
    const text = input.value.trim();
    if (!text) return close();
    const options = find(text).map((place, number) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${number}`;
      option.setAttribute("role", "option");
      option.dataset.place = place;
      fill(option, place);
      // Before the field loses the focus, which closes the list.
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => take(place));
      return option;
    });
    if (options.length === 0) {
      const none = document.createElement("li");
      none.className = "none";
      none.setAttribute("role", "option");
      none.setAttribute("aria-disabled", "true");
      none.id = `${list.id}-none`;
      none.textContent = "Nothing is called that";
      list.replaceChildren(none);
    } else list.replaceChildren(...options);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (options.length) mark(0);
    else input.removeAttribute("aria-activedescendant");
  };

  input.addEventListener("input", open);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // Enter and arrows pick characters then
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) open();
      else mark(active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      take(Number(list.children[active].dataset.place));
    } else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    }
  });
};
