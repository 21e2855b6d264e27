// Run by mongosh beside the first member, see `mongo-init` in compose.yaml. Safe to run again.
const member = "mongodb://127.0.0.1:27017/?directConnection=true";
const asAdmin = `mongodb://admin:${process.env.ADMIN_PASSWORD}@127.0.0.1:27017/admin?directConnection=true`;

// The way in, or undefined while there is no administrator.
function administrator() {
  try {
    return new Mongo(asAdmin);
  } catch (error) {
    if (error.codeName === "AuthenticationFailed" || error.code === 18) return undefined;
    throw error;
  }
}

function untilPrimary(connection) {
  for (let second = 0; second < 120; second += 1) {
    if (connection.getDB("admin").hello().isWritablePrimary) return;
    sleep(1000);
  }
  throw new Error("no primary after two minutes: see the logs of mongo-1, mongo-2 and mongo-3");
}

let connection = administrator();
if (connection === undefined) {
  connection = new Mongo(member);
  if (connection.getDB("admin").hello().setName === undefined) {
    // The first one is preferred, as only it lets an administrator be made from here.
    const members = [1, 2, 3].map((number) => ({
      _id: number,
      host: `mongo-${number}:27017`,
      priority: number === 1 ? 2 : 1,
    }));
    connection.getDB("admin").runCommand({ replSetInitiate: { _id: "rs0", members } });
  }
  untilPrimary(connection);
  connection.getDB("admin").createUser({
    user: "admin",
    pwd: process.env.ADMIN_PASSWORD,
    roles: ["root"],
  });
  connection = administrator();
}
untilPrimary(connection);
const floret = connection.getDB("floret");
if (floret.getUser("floret") === null) {
  // dbOwner, as Floret makes its collections, validators and indexes itself.
  floret.createUser({ user: "floret", pwd: process.env.USER_PASSWORD, roles: ["dbOwner"] });
}
print("the replica set and its users are there");
