"""Old, deprecated and odd packages of the public registry: the first version of each, and one from its youth.

Among them are versions without their hyphen (`0.4.0rc2`), package.json files with a key twice, licence objects,
`bin` as a string, dependencies in an array, folders that are not called `package`, bundled dependencies, scripts that
run at install, names one letter apart.
"""

from __future__ import annotations

_TAKEN = """
    request@0.8.3 request@2.10.0 left-pad@0.0.0 left-pad@0.0.9 lodash@0.1.0 lodash@2.2.1 coffee-script@0.7.0
    coffee-script@1.3.0 node-uuid@1.0.0 node-uuid@1.3.1 npm@1.1.25 npm@3.8.9 express@3.3.1 connect@2.3.4 async@0.1.0
    async@0.2.8 underscore@1.0.3 underscore@1.3.3 colors@0.3.0 colors@1.0.1 mkdirp@0.0.1 mkdirp@0.3.4 minimist@0.0.0
    minimist@0.0.10 socket.io@0.3.8 socket.io@0.9.11 jade@0.0.1 stylus@0.0.1-security stylus@0.32.1 less@1.0.5
    less@2.3.1 uglify-js@0.0.5 uglify-js@2.8.21 optimist@0.1.4 optimist@0.2.3 commander@0.0.1 commander@2.7.1
    mocha@1.20.1 should@0.0.1 should@3.1.4 vows@0.2.5 vows@0.4.5 nodeunit@0.2.1 nodeunit@0.6.4 jquery@1.5.1
    jquery@1.12.4 backbone@0.1.1 backbone@0.9.9 ws@0.2.6 ws@1.1.3 redis@0.0.1 redis@2.4.0 mongodb@3.0.3 mysql@0.1.0
    mysql@2.0.0-alpha7 xml2js@0.1.0 xml2js@0.2.6 htmlparser@1.7.2 htmlparser@1.7.4 jsdom@1.2.0 fstream@0.1.19
    tar@0.0.1 tar@3.2.1 glob@1.1.0 glob@4.4.2 minimatch@0.0.1 minimatch@4.0.0 graceful-fs@1.0.0 graceful-fs@3.0.0
    semver@1.0.0 semver@3.0.1 nopt@1.0.0 nopt@2.1.1 fsevents@0.1.1 fsevents@1.2.11 sqlite3@2.0.0 sqlite3@2.1.16
    websocket@0.0.1 websocket@1.0.10 phantomjs@0.0.1 phantomjs@1.9.1-3 grunt@0.4.0rc2 bower@0.1.0 bower@1.2.4
    event-stream@0.1.0 event-stream@2.2.3 rc@0.0.1 rc@0.3.4 eslint-scope@3.7.0 eslint-scope@5.1.0 typescript@0.8.0
    react@0.0.0-00d4f95c2 react@0.0.0-experimental-a03254bc-20240905 vue@0.0.0 vue@2.2.6 babel@0.0.1 babel@5.0.10
    webpack@0.1.0 webpack@1.3.3-beta1 @types/node@0.0.0 @types/node@12.12.7 @babel/core@6.0.0-bridge.1
    @babel/core@7.12.0 @angular/core@0.0.0-0 @angular/core@10.0.0-rc.0 electron@0.1.0 electron@13.0.0-beta.5
    bindings@0.0.1 bindings@0.2.3 node-gyp@0.0.1 node-gyp@0.7.2 readable-stream@0.0.1 readable-stream@1.1.12-1
    inherits@1.0.0 inherits@1.0.2 through@0.0.1 through@1.1.0 map-stream@0.0.1 map-stream@0.0.3 shelljs@0.0.1
    shelljs@0.2.0 sax@0.1.0 sax@0.4.0 ejs@2.0.8 mustache@0.3.1-dev mustache@1.0.0 handlebars@1.0.2beta
    handlebars@3.0.4 yargs@1.0.0 yargs@4.2.0 nodemailer@0.1.3 nodemailer@1.2.2 winston@0.2.11 winston@1.0.2
    moment@1.0.0 moment@2.8.1 bluebird@0.7.1-1 bluebird@0.10.11-4 q@0.0.0 q@0.2.10 when@1.2.0 when@2.3.0
    promise@1.2.2 promise@6.0.1 browserify@0.2.7 browserify@2.28.0 formidable@0.3.0 formidable@1.1.1 traverse@0.1.3
    traverse@0.4.3 core-js@0.0.3 core-js@2.6.2 es5-ext@0.1.0 es5-ext@0.10.9 hiredis@0.1.12 hiredis@0.1.15
    npm@6.14.18 express@4.21.2 lodash@4.17.21 colors@1.4.0 request@2.88.2 fsevents@2.3.3
"""

# The words of the refusal, and what is refused by them: the rules are in publishing/tarball.py and packages/names.py.
_REFUSED = {
    # Names created here are in lower case.
    "lower-case letters": """
        JSONStream@0.0.0 JSONStream@0.7.4 Base64@0.1.0 Base64@0.2.1
    """,
    # No package is called as a module of Node, which would always be loaded instead.
    "is a module of Node.js itself": """
        buffer@2.1.1 buffer@3.2.0 events@0.1.0 events@1.0.1 process@0.5.0 process@0.9.0 punycode@0.0.1 punycode@1.0.0
        url@0.4.9 url@0.10.1 util@0.4.9 util@0.10.3 string_decoder@0.0.0 string_decoder@0.10.31 crypto@0.0.1
        crypto@0.0.3 stream@0.0.1 stream@0.0.2
    """,
    # Only files and directories.
    "is a symbolic link": """
        express@0.14.0 connect@0.0.6 jade@0.15.2 ejs@0.0.4
    """,
    # One gzip member, no trailing bytes: these are padded with zeros behind it.
    "data after its end": """
        mocha@0.0.1-alpha1 jsdom@0.0.1 fstream@0.0.0 grunt@0.1.2
    """,
    # At most a hundred times as much as the tarball, above 64 MiB.
    "unpacks to more than": """
        mongodb@0.9.1
    """,
    # No case-fold twin: some file systems hold only one of the two.
    "differ only in case": """
        typescript@3.3.0-dev.20181204
    """,
}

TAKEN = _TAKEN.split()
REFUSED = {spec: words for words, specs in _REFUSED.items() for spec in specs.split()}
