/** The shop's HTTP service. PORT is the port of 127.0.0.1 it listens on. */
"use strict";
const express = require("express");

const app = express();
app.disable("x-powered-by");
app.use(express.json());

app.use("/products", require("./routes/products.js"));
app.use("/search", require("./routes/search.js"));
app.use("/cart", require("./routes/cart.js"));
app.use("/checkout", require("./routes/checkout.js"));
app.use("/orders", require("./routes/orders.js"));
app.use("/reports", require("./routes/reports.js"));
app.get("/health", (_request, response) => response.json({ ok: true }));

app.use((error, _request, response, _next) => {
  response.status(error.status ?? 500).json({ error: error.message });
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
process.on("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
