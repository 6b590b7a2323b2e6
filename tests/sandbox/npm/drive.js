// What a script on servicenow-rest-api does: create, find, update, delete. Prints what it was answered.
const ServiceNow = require("servicenow-rest-api");

const [host, user, password] = process.argv.slice(2);
const client = new ServiceNow(host, user, password);
const call = (name, ...rest) => new Promise((done) => client[name](...rest, done));

async function main() {
  const log = console.log;
  console.log = () => {}; // it prints every address that it asks
  const made = await call("createNewTask",
    { short_description: "made by npm", assignment_group: "Database", impact: "2", urgency: "2" }, "incident");
  const found = await call("getTableData",
    ["number", "priority", "assignment_group"], ["short_description=made by npm"], "incident");
  const updated = await call("UpdateTask", "incident", made.number, { state: "In Progress" });
  const refused = await call("UpdateTask", "incident", made.number, { state: "Resolved" });
  const forbidden = await call("DeleteTask", "incident", made.number);
  log(JSON.stringify({
    made, found, updated, refused: refused.response.data, forbidden: forbidden.response.status,
  }));
}

main();
