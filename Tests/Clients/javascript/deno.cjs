require("./global.js");
