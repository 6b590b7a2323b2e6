// Runs a business rule with what it uses of an instance, and prints the request that it sends.
// What these classes do is told by ServiceNow's reference: generateMac takes its key in base64 and returns base64.
var crypto = require('crypto');
var fs = require('fs');
var vm = require('vm');

var told = JSON.parse(process.argv[3]);
var sent = {headers: {}};

function RESTMessageV2() {}
RESTMessageV2.prototype = {
    setEndpoint: function (url) { sent.url = url; },
    setHttpMethod: function (method) { sent.method = method; },
    setRequestHeader: function (name, value) { sent.headers[name] = value; },
    setRequestBody: function (body) { sent.body = body; },
    executeAsync: function () { process.stdout.write(JSON.stringify(sent)); }
};

function GlideCertificateEncryption() {}
GlideCertificateEncryption.prototype.generateMac = function (key, algorithm, data) {
    if (algorithm !== 'HmacSHA256') { throw new Error(algorithm); }
    return crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(data, 'utf8').digest('base64');
};

function GlideDateTime() {}
GlideDateTime.prototype.getNumericValue = function () { return told.now_ms; };

vm.runInNewContext(fs.readFileSync(process.argv[2], 'utf8'), {
    current: {
        getTableName: function () { return 'incident'; },
        getUniqueValue: function () { return told.sys_id; }
    },
    previous: {},
    gs: {
        getProperty: function () { return told.secret; },
        generateGUID: function () { return crypto.randomBytes(16).toString('hex'); }
    },
    sn_ws: {RESTMessageV2: RESTMessageV2},
    GlideCertificateEncryption: GlideCertificateEncryption,
    GlideDateTime: GlideDateTime,
    GlideStringUtil: {base64Encode: function (text) { return Buffer.from(text, 'utf8').toString('base64'); }}
});
