import express from "express";
import { availability, bookings, quote } from "./bookings";
import { currentLimits } from "./limits";

const app = express();
app.use(express.json());
app.post("/bookings", async (request, response) => {
  response.json(await bookings(request.body));
});
app.post("/quotes", async (request, response) => {
  response.json(await quote(request.body));
});
app.get("/availability/:hotel", async (request, response) => {
  response.json(await availability(request.params.hotel));
});
app.get("/limits", (_request, response) => {
  response.json(currentLimits());
});
app.get("/health", (_request, response) => {
  response.json({ ok: true });
});
app.listen(Number(process.env.PORT), "127.0.0.1");
