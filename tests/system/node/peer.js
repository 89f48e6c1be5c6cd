/* A CT scanner and an archive in one, on dcmjs-dimse: sends the files of a folder to the node by TLS, and takes what the
 * node sends by TLS, promising to keep it on the association of the request. Each thing that happens is a line of JSON.
 * Usage: node peer.js PORT NODE-PORT KEY CERTIFICATE AUTHORITY FOLDER */
const fs = require('fs');
const path = require('path');
const { Client, Dataset, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');

const [port, nodePort, key, certificate, authority, folder] = process.argv.slice(2);
const security = {
  key: fs.readFileSync(key), cert: fs.readFileSync(certificate), ca: fs.readFileSync(authority), requestCert: true,
  rejectUnauthorized: true,
};
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
log.level = 'error';

const PushModel = '1.2.840.10008.1.20.1';
const PushModelInstance = '1.2.840.10008.1.20.1.1';

class Archive extends Scp {
  associationRequested(association) {
    this.association = association;
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const elements = request.getDataset().getElements();
    say({ stored: elements.SOPInstanceUID, modality: elements.Modality, study: elements.StudyInstanceUID });
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  nActionRequest(request, callback) {
    const asked = request.getDataset().getElements();
    const response = responses.NActionResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
    const report = new requests.NEventReportRequest(PushModel, PushModelInstance, 1);
    report.setDataset(new Dataset({ TransactionUID: asked.TransactionUID, ReferencedSOPSequence: asked.ReferencedSOPSequence }));
    report.on('response', (answer) => say({ reported: asked.TransactionUID, status: answer.getStatus() }));
    setTimeout(() => this.sendRequests(report), 100);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

function sendStudy() {
  const client = new Client();
  for (const file of fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.dcm'))) {
    const request = new requests.CStoreRequest(path.join(folder, file));
    request.on('response', (response) => say({ sent: response.getStatus() }));
    client.addRequest(request);
  }
  client.on('networkError', (error) => say({ failed: String(error) }));
  client.on('associationRejected', (rejected) => say({ failed: JSON.stringify(rejected) }));
  client.send('127.0.0.1', Number(nodePort), 'DCMJS', 'LIVERVLM', { securityOptions: security });
}

const server = new Server(Archive);
server.on('networkError', (error) => say({ archive: String(error) }));
server.listen(Number(port), { securityOptions: security });
sendStudy();
