// Works out what a fence weighs. Without JavaScript the page shows one worked
// example instead of the form.
"use strict";

const STEEL_KG_PER_M3 = 7850;
const WIRE_M = 0.004064;
const KG_PER_M = STEEL_KG_PER_M3 * Math.PI * (WIRE_M / 2) ** 2;

const form = document.getElementById("fence");
const answer = document.getElementById("answer");

function weigh() {
  if (!form.checkValidity()) return;
  const { metres, wires } = Object.fromEntries(new FormData(form));
  const total = metres * wires;
  const kg = Math.round(total * KG_PER_M);
  answer.textContent =
    `A fence of ${metres} m with ${wires} wires takes ${total} m of wire: ${kg} kg.`;
}

form.addEventListener("input", weigh);
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
weigh();
