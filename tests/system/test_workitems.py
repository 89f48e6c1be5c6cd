"""The node as task performer: workitems of a manager that keeps the standard's rules, inputs from Orthanc by WADO-RS."""

from harness import Node, Orthanc, PACS_AET, free_port, phantom, send, study_uid_of, wait_until
from ups_server import Manager, text, value, workitem

MINE, OTHERS_CODE, RACED, NO_INPUT, NOT_READY = (f"1.2.3.{number}" for number in range(5))


def test_workitems(tmp_path):
    port = free_port()
    orthanc = Orthanc(tmp_path / "pacs", port, extra={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}).start()
    study = phantom(tmp_path / "study", "--seed", 3, "--matrix", 256, "--coverage", 60, "--lesions", 1)
    send(study, orthanc.dicom_port, called=PACS_AET)
    uid = study_uid_of(study)
    web = f"http://127.0.0.1:{orthanc.http_port}/dicom-web"
    manager = Manager([
        workitem(MINE, inputs=[(uid, None, f"{web}/studies/{uid}")]),
        workitem(OTHERS_CODE, code=("OTHER", "99LVN")), workitem(NOT_READY, readiness="INCOMPLETE"),
        workitem(RACED, inputs=[(uid, None, f"{web}/studies/{uid}")]),
        workitem(NO_INPUT, inputs=[("1.2.3.4.5", None, f"{web}/studies/1.2.3.4.5")])])

    def race(claimed):
        if claimed == RACED:
            manager.locks[RACED] = "2.25.1"
            manager.items[RACED]["00741000"] = text("CS", "IN PROGRESS")

    manager.before_claim = race
    manager.swallow.add(MINE)  # the claim is heard, its answer lost
    node = Node(tmp_path / "node", port, pacs_port=orthanc.dicom_port, overrides={
        "workflow": {"workitem_manager": "manager", "poll_seconds": 1},
        'peer "pacs"': {"receives_results": "yes"},
        'peer "web"': {"protocol": "dicomweb", "url": web, "may_send": "no"},
        'peer "manager"': {"protocol": "dicomweb", "url": manager.url, "may_send": "no"}}).start()
    try:
        wait_until(lambda: "event=workitem-fetched" in node.log(), 60, "the inputs")
        node.kill()
        node.start()
        wait_until(lambda: manager.state(MINE) == "COMPLETED", 120, "the workitem's end", interval=0.5)
        wait_until(lambda: manager.state(NO_INPUT) == "CANCELED", 60, "the end of what has no inputs")
        check_completed(manager, orthanc, uid)
        reason = value(value(manager.items[NO_INPUT], "00741002"), "00741238")
        assert "an input cannot be retrieved" in reason and "404" in reason
        for untouched in (OTHERS_CODE, NOT_READY):
            assert manager.state(untouched) == "SCHEDULED" and untouched not in [h[0] for h in manager.history]
        assert [(h[1], h[3]) for h in manager.history if h[0] == RACED] == [("IN PROGRESS", 409), ("update", 409)]
        assert manager.locks[RACED] == "2.25.1"
        wait_until(lambda: not list((tmp_path / "node" / "state" / "workitems").iterdir()), 10, "nothing is left")
        node.verify_store()
    finally:
        node.remove()
        manager.stop()
        orthanc.stop()


def check_completed(manager, orthanc, study_uid):
    """With one transaction UID from the claim to the end, over the kill; its outputs are in the PACS."""
    transactions = {h[2] for h in manager.history if h[0] == MINE}
    assert transactions == {manager.locks[MINE]}
    assert [h[3] for h in manager.history if h[0] == MINE and h[1] in ("CANCELED", "COMPLETED")] == [200]
    performed = value(manager.items[MINE], "00741216")
    outputs = performed["00404033"]["Value"]
    instances = {value(reference, "00081155") for output in outputs for reference in output["00081199"]["Value"]}
    reports, captures = orthanc.results_of_study(study_uid)
    assert len(instances) == len(reports) + len(captures) and reports and captures
    assert all(orthanc.has_instance(instance) for instance in instances)
    assert all(value(value(output, "0040E021"), "00080054") == PACS_AET for output in outputs)
    assert value(value(manager.items[MINE], "00741002"), "00741004") == "100"
