"""What must never be shown or done by the pages: another patient's records, a claim that nobody can make, a value that is
not in the record, a signature that nobody meant. The steps are those in which it once happened."""

import json
import re
import time
import urllib.request

from playwright.sync_api import expect

PENICILLIN = {"resourceType": "AllergyIntolerance", "criticality": "high", "code": {"text": "Penicillin"}}

LATE_MILLISECONDS = 800


class Held:
    """Answers that are on their way until the test lets them come."""

    def __init__(self, page, pattern):
        self.page, self.pattern, self.routes = page, pattern, []
        page.route(pattern, lambda route: self.routes.append(route))

    def wait(self):
        deadline = time.monotonic() + 30
        while not self.routes:
            assert time.monotonic() < deadline, f"nobody asked for {self.pattern}"
            self.page.wait_for_timeout(20)

    def let_go(self):
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.pattern)
        # Nothing tells that something does not happen: what would be drawn wrongly has this long to be drawn.
        self.page.wait_for_timeout(LATE_MILLISECONDS)


class Case:
    """Patients of hospital 1 with their records, and a clinician there."""

    def __init__(self, tools, browser, devnet, pictures):
        self.tools, self.browser, self.devnet, self.pictures = tools, browser, devnet, pictures
        self.people = []

    def person(self, path="/", size=1000, scheme="light", hospital=1, **more):
        one = self.tools.Person(self.browser, hospital, path, size, scheme, self.pictures, **more)
        self.people.append(one)
        return one

    def patient(self, given, family, resources, **more):
        """Somebody with an account and records: (person, account, identifiers by place)."""
        one = self.person(**more)
        words, code = one.code()
        account = self.devnet.register(1, code)
        places = self.post(account, given, family, resources)
        expect(one.page.locator("#section-allergy")).to_be_visible(timeout=15000)
        one.tab("records")
        one.words = words
        return one, account, places

    def post(self, account, given, family, resources):
        full = lambda number: f"urn:uuid:00000000-0000-4000-9000-{number:012d}"
        person = {"resourceType": "Patient", "name": [{"given": [given], "family": family}], "birthDate": "1961-02-03", "gender": "female",
                  "identifier": [dict(self.tools.ACCOUNT, value=account), {"system": "urn:northside", "value": f"N-{family}"}]}
        entries = []
        for number, resource in enumerate([person, *resources]):
            subject = {} if number == 0 else {
                "patient" if resource["resourceType"] in ("AllergyIntolerance", "Immunization", "Claim", "RelatedPerson", "FamilyMemberHistory")
                else "subject": {"reference": full(0)}}
            entries.append({"fullUrl": full(number), "resource": {**resource, **subject}, "request": {"method": "POST", "url": resource["resourceType"]}})
        answer = self.devnet.post(1, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        return ["/".join(one["response"]["location"].split("/fhir/")[-1].split("/")[:2]) for one in answer["entry"]]

    def put(self, place, change):
        base = f"http://127.0.0.1:{self.tools.FHIR_PORT}/fhir/{place}"
        with urllib.request.urlopen(base) as answer:
            resource = json.load(answer)
        body = self.tools.tokens(json.dumps({**resource, **change})).encode()
        request = urllib.request.Request(base, body, {"Content-Type": "application/fhir+json"}, method="PUT")
        urllib.request.urlopen(request).close()

    def add(self, patient, resource):
        """One more record of a patient that is there."""
        subject = {"patient" if resource["resourceType"] == "AllergyIntolerance" else "subject": {"reference": patient}}
        self.devnet.post(1, {"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": {**resource, **subject}, "request": {"method": "POST", "url": resource["resourceType"]}}]})

    def clinician(self, hospital=1, **more):
        one = self.person("/clinic", hospital=hospital, **more)
        assert "only way" not in one.page.locator("main").inner_text()
        _, code = one.code()
        self.devnet.register(hospital, code, "--role", "207")
        expect(one.page.locator("#search")).to_be_visible(timeout=15000)
        return one

    def choose(self, doctor, name):
        page = doctor.page
        if page.locator("#another").count():
            page.click("#another")
        page.fill("#search", name)
        page.click("#find")
        page.locator("#found li", has_text=name).get_by_role("button", name="Open the chart").click()
        expect(page.locator("#banner h1")).to_contain_text(name)


def others_records(case):
    """The clinician goes on while records still open; the patient changes the tab while they load."""
    berta, berta_account, _ = case.patient("Berta", "Slowly", [PENICILLIN])
    carl, _, _ = case.patient("Carla", "Quickly", [{"resourceType": "Condition", "code": {"text": "Asthma"}}])
    doctor = case.clinician()
    page = doctor.page
    case.choose(doctor, "Slowly")
    expect(page.locator("#banner")).to_contain_text(re.compile(r"born 3 Feb 1961 · \d+ years · female · N-Slowly · account"))
    held = Held(page, "**/release?*")
    page.click("#ask")
    held.wait()
    expect(page.locator("#answer")).to_contain_text("Opened 0 of 2")
    case.choose(doctor, "Quickly")
    held.let_go()
    expect(page.locator("#banner")).to_contain_text("Carla Quickly")
    assert "Slowly" not in page.locator("main").inner_text() and "Penicillin" not in page.locator("main").inner_text()
    page.click("#tab-patient")
    expect(page.locator("#banner")).to_contain_text("Carla Quickly")
    assert "Penicillin" not in page.locator("main").inner_text()
    page.click("#ask")
    expect(page.locator("#section-problem")).to_contain_text("Asthma", timeout=30000)
    assert "Slowly" not in page.locator("main").inner_text()
    expect(page.locator("#banner")).to_contain_text(re.compile(r"born 3 Feb 1961 · \d+ years · female · N-Quickly · account"))
    doctor.look("banner")
    # A search's answer that comes after the next search is dropped too.
    page.click("#another")
    held = Held(page, "**/patients?search=Slowly*")
    page.fill("#search", "Slowly")
    page.click("#find")
    held.wait()
    page.fill("#search", "Quickly")
    page.click("#find")
    expect(page.locator("#found")).to_contain_text("Carla Quickly")
    held.let_go()
    assert "Slowly" not in page.locator("#found").inner_text()
    print("harm: what comes after the clinician went on is never shown under the next patient's name")

    # What is signed goes to the patient in whose chart it was typed, and to nobody twice.
    case.choose(doctor, "Slowly")
    page.select_option("#noteKind", "note")
    page.fill("#noteTitle", "Knee")
    page.fill("#noteText", "It hurts.")
    held = Held(page, "**/notes")
    page.evaluate("() => { for (let i = 0; i < 3; i++) document.getElementById('sign').click(); }")
    held.wait()
    case.choose(doctor, "Quickly")
    held.let_go()
    expect(page.locator("#said")).to_contain_text("for Berta Slowly", timeout=15000)
    expect(page.locator("#banner")).to_contain_text("Carla Quickly")
    expect(page.locator("main")).to_contain_text("There are 2 records.")
    assert len(held.routes) == 1, "three clicks were three notes"
    case.choose(doctor, "Slowly")
    expect(page.locator("main")).to_contain_text("There are 3 records.")
    print("harm: a note goes to the patient in whose chart it was typed, once for three clicks")

    page = berta.page
    held = Held(page, "**/sealed?*")
    berta.tab("records")
    held.wait()
    berta.tab("sharing")
    expect(page.locator("#give")).to_be_visible()
    page.fill("#until", "2030-01-01")
    held.let_go()
    expect(page.locator("h1")).to_have_text("Sharing")
    expect(page.locator("#until")).to_have_value("2030-01-01")
    expect(page.locator("#tab-sharing")).to_have_attribute("aria-current", "page")
    page.evaluate("() => { for (let i = 0; i < 3; i++) document.getElementById('give').click(); }")
    expect(page.locator("#consents li")).to_have_count(1, timeout=15000)
    page.wait_for_timeout(LATE_MILLISECONDS)
    berta.tab("sharing")
    expect(page.locator("#consents li")).to_have_count(1)
    print("harm: a tab keeps what it shows though another one's records come late; three clicks are one consent")
    return berta, berta_account, doctor


def claims(case, berta, doctor):
    """ "No allergy is recorded" only where that is known; else why it is not."""
    page = doctor.page
    case.choose(doctor, "Slowly")
    box = page.locator("input[value=allergy]")
    box.uncheck()
    page.click("#ask")
    card = page.locator("#section-allergy")
    expect(card).to_contain_text("Allergies are NOT known.", timeout=30000)
    expect(card).to_contain_text("One record is not asked for.")
    expect(page.locator("#more-person")).to_have_count(0)
    page.select_option("#noteKind", "prescription")
    page.fill("#noteTitle", "Amoxicillin 500 mg")
    expect(page.locator("#unknownAllergies")).to_contain_text("cannot be checked")
    page.fill("#noteText", "3 times a day")
    expect(page.locator("#sign")).to_have_text("Sign it for Berta Slowly in spite of the warning")
    page.click("#sign")
    expect(page.locator("#unsigned")).to_contain_text("Say why it is right in spite of the warning.")
    doctor.look("allergies-not-asked")
    box.check()
    page.click("#ask")
    expect(card).to_contain_text("Penicillin", timeout=30000)
    expect(page.locator("#unknownAllergies")).to_have_count(0)
    expect(page.locator("#warning")).to_contain_text("an allergy to Penicillin is recorded, and both are penicillins")
    assert page.input_value("#noteTitle") == "Amoxicillin 500 mg", "what was typed is gone"
    page.fill("#noteText", "3 times a day")
    page.click("#sign")
    expect(page.locator("#write")).to_contain_text("Say why it is right")
    doctor.look("reason-wanted")
    page.fill("#override", "Desensitised last week")
    page.click("#sign")
    expect(page.locator("#said")).to_contain_text("for Berta Slowly", timeout=15000)
    expect(page.locator("#section-medicine")).to_contain_text("Desensitised last week", timeout=15000)
    berta.tab("records")
    expect(berta.page.locator(".conflict")).to_contain_text("Amoxicillin 500 mg", timeout=15000)
    expect(berta.page.locator("#section-medicine")).to_contain_text("Desensitised last week")
    berta.look("patient-warned")
    case.choose(doctor, "Quickly")
    page.click("#ask")
    expect(card).to_contain_text("No allergy is recorded at Northside General.", timeout=30000)
    expect(card).to_contain_text("Other hospitals were not asked: St. Mary")
    expect(card).to_contain_text(re.compile(r"Northside General\.\s+As of \d\d:\d\d\."))
    expect(page.locator("#section-problem")).to_contain_text("Asthma")
    expect(page.locator("#section-problem")).to_contain_text("Other hospitals were not asked: St. Mary")
    doctor.look("no-allergy")
    print("harm: allergies that were not asked for are not known; a clash by class needs a reason, which is signed and shown")

    page = berta.page
    damage = lambda work: lambda route: route.fulfill(response=(answer := route.fetch()), body=work(answer.body()))
    for name, work, word in [("damaged", lambda body: body[:-1] + bytes([body[-1] ^ 1]), "not open with your key"),
                             ("missing", lambda body: body[:8], "No vault has it")]:
        page.route("**/sealed?*", damage(work))
        berta.tab("records")
        expect(page.locator("main")).to_contain_text(word, timeout=15000)
        assert "was replaced" not in page.locator("main").inner_text(), "a damaged answer is told as a replaced key"
        berta.look(name)
        page.unroute("**/sealed?*")
    expect(page.locator("#section-allergy")).to_contain_text("Allergies are NOT known.")
    expect(page.locator("#section-allergy")).to_contain_text("no vault has it")
    berta.tab("records")
    expect(page.locator("#section-allergy li").first).to_contain_text("Penicillin", timeout=15000)
    print("harm: missing and damaged records are not told as none, nor as a replaced key")


def coded(code):
    return {"coding": [{"code": code}]}


def observation(text, day, **more):
    return {"resourceType": "Observation", "status": "final", "code": {"text": text}, "effectiveDateTime": day, **more}


CRAFTED = [
    observation("Troponin I", "2026-11-01", valueQuantity={"value": "#0.00453", "unit": "ng/mL"}),
    observation("HIV RNA", "2026-11-01", valueQuantity={"value": 20, "comparator": "<", "unit": "copies/mL"}),
    observation("Potassium", "2026-11-02", valueQuantity={"value": "#6.90", "unit": "mmol/L"}, interpretation=[coded("HH")],
                referenceRange=[{"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": "#5.10", "unit": "mmol/L"}}]),
    observation("Blood pressure", "2026-11-02", component=[
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}], "text": "Diastolic"}, "valueQuantity": {"value": 95, "unit": "mm[Hg]"}},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}], "text": "Systolic"}, "valueQuantity": {"value": 180, "unit": "mm[Hg]"}}]),
    observation("Sodium", "2026-11-01", valueQuantity={"value": 139, "unit": "mmol/L"}),
    observation("Sodium", "2026-11-02", valueQuantity={"value": 121, "unit": "mmol/L"}, note=[{"text": "Haemolysed: repeat"}],
                referenceRange=[{"low": {"value": 135, "unit": "mmol/L"}, "high": {"value": 145, "unit": "mmol/L"}}]),
    observation("Pregnancy test", "2026-11-02", valueBoolean=True),
    observation("Glucose", "2026-11-01", valueQuantity={"value": 5.2, "unit": "mmol/L"}),
    observation("Glucose", "2026-11-02", valueQuantity={"value": 94, "unit": "mg/dL"}),
    observation("Glucose", "2026-11-03", valueQuantity={"value": 5.4, "unit": "mmol/L"}),
    observation("INR", "2026-11-03", status="entered-in-error", valueQuantity={"value": 9.9}),
    {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "doNotPerform": True,
     "medicationCodeableConcept": {"text": "Aspirin 75 mg"}, "note": [{"text": "GI bleed"}]},
    {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Methotrexate 2.5 mg"},
     "dosageInstruction": [{"text": "6 tablets ONCE A WEEK. Never daily."}]},
    {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "contained": [
        {"resourceType": "Medication", "id": "m", "code": {"text": "Warfarin 5 mg"}}], "medicationReference": {"reference": "#m"}},
    {"resourceType": "MedicationRequest", "status": "stopped", "intent": "order", "medicationCodeableConcept": {"text": "Penicillin V"}},
    {"resourceType": "Condition", "code": {"text": "Lung cancer"}, "clinicalStatus": coded("active"), "verificationStatus": coded("refuted"),
     "onsetDateTime": "2017"},
    {"resourceType": "Condition", "code": {"text": "Migraine"}, "onsetDateTime": "2017"},
    {"resourceType": "AllergyIntolerance", "code": {"text": "Latex"}, "verificationStatus": coded("refuted"), "recordedDate": "2026-11-03"},
    {"resourceType": "AllergyIntolerance", "code": {"text": "Dust"}, "criticality": "low", "recordedDate": "2026-11-03"},
    dict(PENICILLIN, recordedDate="2012", reaction=[{"severity": "severe", "manifestation": [{"text": "Anaphylaxis"}]}]),
    {"resourceType": "AllergyIntolerance", "code": {"coding": [{"system": "http://snomed.info/sct", "code": "429625007",
                                                                "display": "No known food allergy (situation)"}]}},
    {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT chest"}, "conclusion": "8 mm nodule: follow up in 3 months"},
    {"resourceType": "Encounter", "status": "finished", "class": {"code": "EMER"}, "reasonCode": [{"text": "Chest pain"}]},
]


def erased(case, berta, doctor):
    """What a patient erases leaves the chart of whoever has it open."""
    case.choose(doctor, "Slowly")
    doctor.page.click("#ask")
    expect(doctor.page.locator("#section-result")).to_contain_text("Knee", timeout=30000)
    berta.tab("records")
    row = berta.page.locator("#section-result li", has_text="Knee")
    row.locator("summary").click()
    row.get_by_role("button", name="Erase this record").click()
    expect(berta.page.locator("#erased")).to_contain_text("One record was erased", timeout=15000)
    doctor.page.click("#tab-patient")
    expect(doctor.page.locator("#banner")).to_contain_text("Slowly")
    expect(doctor.page.locator("#section-allergy")).to_contain_text("Penicillin")
    assert "Knee" not in doctor.page.locator("main").inner_text(), "an erased record is still shown"
    print("harm: what was erased leaves the chart that shows it")


def none_known(case, doctor):
    """That there is none is what somebody recorded, with who and when; to have no record is another thing."""
    nora, _, _ = case.patient("Nora", "Nothing", [
        {"resourceType": "AllergyIntolerance", "recordedDate": "2026-03", "code": {"coding": [
            {"system": "http://snomed.info/sct", "code": "716186003", "display": "No known allergy (situation)"}]}},
        {"resourceType": "AllergyIntolerance", "code": {"text": "Latex"}, "verificationStatus": coded("entered-in-error")}], size=360, scheme="dark")
    card = nora.page.locator("#section-allergy")
    expect(card).to_contain_text("No known allergy (situation)", timeout=15000)
    expect(card).to_contain_text("is what Northside General wrote, recorded in Mar 2026")
    assert "alert" not in card.get_attribute("class").split() and "NOT known" not in card.inner_text()
    expect(nora.page.locator("#section-problem")).to_contain_text("No problem is recorded at Northside General.")
    nora.look("none-known")
    case.choose(doctor, "Nothing")
    page = doctor.page
    page.click("#ask")
    expect(page.locator("#section-allergy")).to_contain_text("is what Northside General wrote", timeout=30000)
    page.select_option("#noteKind", "prescription")
    page.fill("#noteTitle", "Latex")
    expect(page.locator("#warning")).to_contain_text("No allergy is recorded to compare with.")
    assert page.locator("#warning .alert").count() == 0, "what was entered in error clashes"
    page.fill("#noteTitle", "")
    print("harm: none known is told with who and when, and what was entered in error clashes with nothing")
    return nora


def came_later(case):
    """What was anchored after the last visit of the records is authentic too, and among what is saved."""
    lena, _, places = case.patient("Lena", "Later", [{"resourceType": "AllergyIntolerance", "code": {"text": "Dust"}}])
    page = lena.page
    lena.tab("check")
    page.set_input_files("#file", {"name": "one.json", "mimeType": "application/json", "buffer": b"{}"})
    expect(page.locator("#verdict h2")).to_have_text("Not authentic", timeout=15000)
    case.add(places[0], PENICILLIN)

    def entries():
        lena.tab("leave")
        with page.expect_download() as saved:
            page.click("#export")
        with open(saved.value.path()) as file:
            return [one["resource"] for one in json.load(file)["entry"]]

    lena.tab("check")
    allergies = [one for one in entries() if one["resourceType"] == "AllergyIntolerance"]
    assert len(allergies) == 2, f"{len(allergies)} of 2 allergies were saved"
    lena.tab("check")
    case.put(places[1], {"code": {"text": "Latex"}})
    base = f"http://127.0.0.1:{case.tools.FHIR_PORT}/fhir/{places[1]}"
    with urllib.request.urlopen(base) as answer:
        newest = answer.read()
    page.set_input_files("#file", {"name": "one.json", "mimeType": "application/json", "buffer": newest})
    expect(page.locator("#verdict h2")).to_have_text("Authentic", timeout=15000)
    print("harm: what came after the last visit of the records is authentic, and is saved with the others")


def as_problem(case):
    """An allergy that a hospital wrote down as a problem is no problem only."""
    petra, _, _ = case.patient("Petra", "Problem", [
        {"resourceType": "Condition", "code": {"text": "Allergy to penicillin"}, "clinicalStatus": coded("active")},
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Co-amoxiclav 625 mg"}}])
    card = petra.page.locator("#section-allergy")
    expect(card).to_contain_text("Allergy to penicillin", timeout=15000)
    expect(card).to_contain_text("recorded as a problem")
    assert "No allergy" not in card.inner_text()
    expect(petra.page.locator(".conflict")).to_contain_text("Co-amoxiclav 625 mg")
    petra.look("allergy-as-problem")
    print("harm: an allergy that is written down as a problem stands among the allergies and clashes")


def outdated(case, doctor):
    """What was anchored after the chart was opened is seen before a prescription is signed."""
    _, _, places = case.patient("Olga", "Lately", [{"resourceType": "AllergyIntolerance", "code": {"text": "Dust"}}])
    case.choose(doctor, "Lately")
    page = doctor.page
    page.click("#ask")
    expect(page.locator("#section-allergy")).to_contain_text("Dust", timeout=30000)
    page.select_option("#noteKind", "prescription")
    page.fill("#noteTitle", "Amoxicillin 500 mg")
    page.fill("#noteText", "3 times a day")
    expect(page.locator("#notComparable")).to_contain_text("NOT compared, because this page does not know what they are: Dust.")
    assert "nothing was found" not in page.locator("#warning").inner_text()
    case.add(places[0], PENICILLIN)
    page.click("#sign")
    expect(page.locator("#unsigned")).to_contain_text("NOT signed: meanwhile records came", timeout=15000)
    expect(page.locator("#unknownAllergies")).to_contain_text("One record is not asked for.")
    expect(page.locator("#section-allergy")).to_contain_text("There may be more allergies:")
    assert page.input_value("#noteTitle") == "Amoxicillin 500 mg", "what was typed is gone"
    expect(page.locator("main")).to_contain_text("There are 3 records.")
    doctor.look("outdated")
    page.click("#ask")
    expect(page.locator("#warning")).to_contain_text("an allergy to Penicillin is recorded", timeout=30000)
    expect(page.locator("#unsigned")).to_have_text("", timeout=15000)
    case.put(places[1], {"code": {"text": "Latex"}})
    page.fill("#override", "Desensitised")
    page.click("#sign")
    expect(page.locator("#unsigned")).to_contain_text("NOT signed", timeout=15000)
    assert "Desensitised" not in page.locator("#chart").inner_text(), "it was signed"
    page.fill("#noteTitle", "Simvastatin 20 mg")
    page.click("#ask")
    expect(page.locator("#warning")).to_contain_text("Compared with the other allergy: nothing was found.", timeout=30000)
    assert re.search("NOT compared.*nothing was found", page.locator("#warning").inner_text(), re.S), "the caveat does not come first"
    doctor.look("not-comparable")
    page.fill("#noteTitle", "Zaltofin")
    expect(page.locator("#medicineUnknown")).to_contain_text("does not know the medicine")
    print("harm: allergies and medicines that the page does not know are named before what the comparison found")
    print("harm: a prescription is not signed before what was anchored meanwhile was listed and shown")

    # What is typed while a note is on its way is neither signed nor lost.
    page.select_option("#noteKind", "note")
    page.fill("#noteTitle", "Cough")
    page.fill("#noteText", "Since Monday.")
    case.add(places[0], observation("Sodium", "2026-11-02", valueQuantity={"value": 121, "unit": "mmol/L"}))
    held = Held(page, "**/notes")
    page.click("#sign")
    held.wait()
    page.fill("#noteText", "Since Monday. Fever too.")
    held.let_go()
    expect(page.locator("#said")).to_contain_text("What you changed since is NOT signed.", timeout=15000)
    expect(page.locator("#noteText")).to_have_value("Since Monday. Fever too.")
    expect(page.locator("#section-result")).to_contain_text("Since Monday.")
    expect(page.locator("#more-result")).to_contain_text("There may be more:")
    expect(page.locator("#more-result")).to_contain_text("One record is not asked for.")
    assert "Fever" not in page.locator("#section-result").inner_text()
    page.fill("#noteTitle", "")
    page.fill("#noteText", "")
    print("harm: results say that there may be more where one was not read")
    print("harm: what is typed while a note is being signed stays, and is told as not signed")


def outcomes(berta):
    """An answer that is lost is no failure: what was sent may be done."""
    page = berta.page
    berta.tab("sharing")
    expect(page.locator("#consents li")).to_have_count(1)

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/api/transactions", lose)
    page.select_option("#who", "3")
    page.click("#give")
    expect(page.locator("main h2")).to_have_text("It is not known whether that worked", timeout=15000)
    expect(page.locator("main")).to_contain_text("Look again in a moment, before you do it a second time.")
    page.unroute("**/api/transactions")
    berta.tab("sharing")
    expect(page.locator("#consents li")).to_have_count(2)
    berta.faults = [one for one in berta.faults if "ERR_FAILED" not in one]
    print("harm: an answer that is lost is not told as a failure")


def values(case):
    """Every value as it is in the record, in New York as at Greenwich."""
    greta, _, places = case.patient("Greta", "Crafted", CRAFTED, size=360, zone="America/New_York")
    page = greta.page
    expect(page.locator("#section-result")).to_contain_text("0.00453 ng/mL", timeout=15000)
    results = page.locator("#section-result > ul")
    for text in ["< 20 copies/mL", "6.90 mmol/L", "critically HIGH", "usual: 3.5–5.10 mmol/L", "180 mmHg", "yes", "5.4 mmol/L"]:
        expect(results).to_contain_text(text)
    assert re.search(r"Systolic\s+180 mmHg\s+Diastolic\s+95 mmHg", page.locator("#section-result dl.parts").inner_text())
    assert "9.9" not in results.inner_text()
    expect(page.locator("#section-result .apart.invalid")).to_contain_text("9.9")
    assert "5.2 mmol/L to 5.4 mmol/L" in page.locator("#section-result > ul > li", has_text="Glucose").locator("svg").get_attribute("aria-label")
    sodium = page.locator("#section-result > ul > li", has_text="Sodium").inner_text()
    for text in ["121 mmol/L", "Haemolysed: repeat", "usual: 135–145 mmol/L", "below the usual range"]:
        assert text in sodium, f"{text} is not beside the newest value: {sodium}"
    medicine = page.locator("#section-medicine > ul")
    for text in ["Must NOT be taken", "GI bleed", "6 tablets ONCE A WEEK. Never daily.", "Warfarin 5 mg"]:
        expect(medicine).to_contain_text(text)
    assert "Penicillin V" not in medicine.inner_text() and page.locator(".conflict").count() == 0
    assert "Aspirin" in medicine.locator("li").first.inner_text(), "what must not be taken does not come first"
    problems = page.locator("#section-problem > ul")
    assert "Lung cancer" not in problems.inner_text() and re.search(r"Migraine\s+2017\b", problems.inner_text()), problems.inner_text()
    allergies = [one.strip() for one in page.locator("#section-allergy > ul > li strong").all_text_contents()]
    assert allergies == ["Penicillin", "Dust", "No known food allergy (situation)"], allergies
    expect(page.locator("#section-allergy > ul")).to_contain_text("recorded in 2012")
    expect(page.locator("#section-allergy > ul")).to_contain_text("Anaphylaxis, SEVERE")
    expect(page.locator("#section-document")).to_contain_text("8 mm nodule: follow up in 3 months")
    expect(page.locator("#section-visit")).to_contain_text("Chest pain")
    expect(page.locator("#section-visit")).to_contain_text("Emergency")
    expect(page.locator("#section-person")).to_contain_text("born 3 Feb 1961")
    greta.look("crafted")
    print("harm: every value as it is in the record, with what makes it safe; dates are not shifted in New York")

    potassium = places[1 + next(index for index, one in enumerate(CRAFTED) if one.get("code", {}).get("text") == "Potassium")]
    case.put(potassium, {"status": "corrected", "valueQuantity": {"value": "#4.90", "unit": "mmol/L"}, "interpretation": [coded("N")]})
    greta.tab("records")
    expect(results).to_contain_text("4.90 mmol/L", timeout=15000)
    expect(results).to_contain_text("corrected")
    assert "6.90" not in results.inner_text(), "the wrong value is still in the list"
    expect(page.locator("#section-result .apart.replaced")).to_contain_text("6.90 mmol/L")
    greta.look("corrected")
    print("harm: a corrected value is the headline, the wrong one is set apart")


def beside(case, doctor):
    """A prescription is held against what is taken now and what must not be taken; its reason is signed with it."""
    tilda, _, _ = case.patient("Tilda", "Together", [
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Warfarin 5 mg"}},
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "doNotPerform": True, "medicationCodeableConcept": {"text": "Aspirin 75 mg"}}])
    case.choose(doctor, "Together")
    page = doctor.page
    page.select_option("#noteKind", "prescription")
    page.fill("#noteTitle", "Ibuprofen 400 mg")
    page.fill("#noteText", "3 times a day")
    expect(page.locator("#unknownMedicines")).to_contain_text("what else is taken is not compared")
    page.click("#ask")
    warning = page.locator("#warning")
    expect(warning).to_contain_text("Ibuprofen 400 mg together with Warfarin 5 mg: serious bleeding is likelier.", timeout=30000)
    expect(warning).to_contain_text("the record says that Aspirin 75 mg must NOT be taken, and both are")
    expect(page.locator("#unknownMedicines")).to_have_count(0)
    doctor.look("together")
    page.click("#sign")
    expect(page.locator("#unsigned")).to_contain_text("Say why it is right")
    page.fill("#noteTitle", "Simvastatin 20 mg")
    expect(warning).to_contain_text("Compared with one medicine that is taken now, by a small list of pairs: nothing was found.")
    expect(page.locator("#sign")).to_have_text("Sign and record it for Tilda Together")
    page.fill("#noteTitle", "Ibuprofen 400 mg")
    page.fill("#override", "One dose, under watch")
    page.click("#sign")
    expect(page.locator("#said")).to_contain_text("for Tilda Together", timeout=15000)
    expect(page.locator("#section-medicine")).to_contain_text("Reason: One dose, under watch", timeout=15000)
    expect(page.locator(".conflict")).to_contain_text("Ibuprofen 400 mg together with Warfarin 5 mg")
    tilda.tab("records")
    expect(tilda.page.locator(".conflict")).to_contain_text("Warfarin 5 mg", timeout=15000)
    expect(tilda.page.locator(".conflict")).to_contain_text("Ask a doctor or a pharmacist")
    tilda.look("together")
    print("harm: what is taken now, and what must not be, is held against a prescription; the reason is signed with it")


def permitted_in_part(case):
    """What the patient permits is read though more was asked for; after a refusal it is told that a permission does not help."""
    pia, account, _ = case.patient("Pia", "Partly", [
        dict(PENICILLIN, reaction=[{"severity": "severe", "manifestation": [{"text": "Anaphylaxis"}]}]),
        {"resourceType": "Condition", "code": {"text": "Asthma"}}, observation("Sodium", "2026-11-02", valueQuantity={"value": 139}),
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Digoxin"}}])
    page = pia.page

    def give(kind, *categories):
        pia.tab("sharing")
        expect(page.locator("main")).to_contain_text("In an emergency a clinician can read without your permission")
        before = page.locator("#consents li").count()
        page.select_option("#who", "2")
        page.select_option("#kind", kind)
        ticked = page.locator("fieldset").nth(1).locator("input").evaluate_all("(all) => all.map((one) => one.checked)")
        assert ticked == [True] + [kind == "denial"] * 3, f"{kind or 'a permission'} is for {ticked}"
        if categories:
            for box in page.locator("fieldset").first.locator("input").all():
                box.set_checked(box.get_attribute("value") in categories)
        page.click("#give")
        expect(page.locator("#consents li")).to_have_count(before + 1, timeout=15000)

    give("", "allergy", "medication")
    doctor = case.clinician(hospital=2)
    here = doctor.page
    here.fill("#search", account)
    here.click("#find")
    expect(here.locator("#banner")).to_contain_text("Name not read yet")
    here.click("#ask")
    expect(here.locator("#section-allergy")).to_contain_text("Anaphylaxis, SEVERE", timeout=30000)
    expect(here.locator("#section-medicine")).to_contain_text("Digoxin", timeout=30000)
    refused = here.locator("#refused")
    expect(refused).to_contain_text("3 records were refused", timeout=15000)
    expect(refused).to_contain_text("problems (1), name and address (1), results (1): no consent covers this.")
    expect(refused).to_contain_text("The patient can give you permission")
    expect(here.locator("#section-problem")).to_contain_text("Problems are NOT known.")
    doctor.look("permitted-in-part")
    pia.tab("history")
    expect(page.locator("#history > li")).to_have_count(1)
    expect(page.locator("#history > li")).to_contain_text("asked for 5 records to treat you: 2 allowed 3 refused")
    expect(page.locator("#history > li")).to_contain_text("You had not permitted it.")
    assert "ask the patient" not in page.locator("#history").inner_text()
    page.locator("#history summary").click()
    # One for all, which named what kept it from being granted, and one for the rest.
    expect(page.locator("#history details li")).to_have_count(2)
    pia.look("one-act")
    print("harm: what the patient permits is read though more was asked for, and is one line for the patient")

    give("denial")
    here.click("#ask")
    expect(refused).to_contain_text("the patient denied this", timeout=30000)
    expect(refused).to_contain_text("the patient must first take that refusal back")
    assert "can give you permission" not in refused.inner_text(), "a permission is told to help against a refusal"
    doctor.look("denied")
    print("harm: after a refusal the clinician is told that it must be taken back")


def newer(case, doctor):
    """An open chart tells what is newer by itself, and as of when nothing is recorded."""
    _, _, places = case.patient("Nadia", "Newer", [{"resourceType": "Condition", "code": {"text": "Asthma"}}])
    case.choose(doctor, "Newer")
    page = doctor.page
    page.click("#ask")
    card = page.locator("#section-allergy")
    expect(card).to_contain_text("No allergy is recorded at Northside General.", timeout=30000)
    page.locator("input[value=condition]").uncheck()
    page.select_option("#purpose", "HPAYMT")
    page.locator("#section-problem summary").click()
    case.add(places[0], PENICILLIN)
    expect(page.locator("#news")).to_contain_text("Newer records came, which are not read yet: allergies (1).", timeout=30000)
    expect(card).to_contain_text("Allergies are NOT known.")
    assert "No allergy is recorded" not in card.inner_text()
    expect(page.locator("#count")).to_contain_text("There are 3 records.")
    assert page.locator("input[value=allergy]").is_checked() and not page.locator("input[value=condition]").is_checked(), "ticks were lost"
    expect(page.locator("#purpose")).to_have_value("HPAYMT")
    assert page.locator("#section-problem details").first.evaluate("(one) => one.open"), "what was opened to read was closed"
    doctor.look("newer")
    page.select_option("#purpose", "TREAT")
    page.click("#ask")
    expect(card).to_contain_text("Penicillin", timeout=30000)
    expect(page.locator("#news")).to_have_count(0)
    page.route("**/records?*", lambda route: route.abort())
    expect(page.locator("#stale")).to_contain_text("It is not known whether there is something newer: this was so at", timeout=30000)
    page.unroute("**/records?*")
    expect(page.locator("#stale")).to_have_count(0, timeout=30000)
    doctor.faults = [one for one in doctor.faults if "ERR_FAILED" not in one]
    print("harm: an open chart tells what is newer, and whether that can be known")


def many(case, doctor):
    """An emergency over more records than a request may name is one line and one case; it is named where no answer comes."""
    maria, _, _ = case.patient("Maria", "Many", [PENICILLIN, *(
        observation(f"Result {number}", "2026-11-02", valueQuantity={"value": number}) for number in range(65))])
    case.choose(doctor, "Many")
    page = doctor.page
    held = Held(page, "**/api/transactions")
    page.click("#ask")
    held.wait()
    expect(page.locator("#slow")).to_contain_text("No answer yet. In an emergency do not wait", timeout=30000)
    doctor.look("no-answer")
    page.click("#glass summary")
    page.click("#break")
    expect(page.locator("#section-result")).to_contain_text("Result 64", timeout=120000)
    held.let_go()
    expect(page.locator("#section-allergy")).to_contain_text("Penicillin")
    maria.tab("history")
    emergency = maria.page.locator("#history > li", has_text="Emergency access")
    expect(emergency).to_have_count(1, timeout=15000)
    expect(emergency).to_contain_text("asked for 67 records in an emergency: allowed")
    expect(emergency).to_contain_text("Asked for in 2 requests")
    maria.look("one-emergency")
    officer = case.person("/officer", size=360)
    assert "only way" not in officer.page.locator("main").inner_text()
    _, code = officer.code()
    case.devnet.register(1, code)
    cases = officer.page.locator("#cases section")
    expect(cases).to_have_count(1, timeout=15000)
    expect(cases).to_contain_text("67, in 2 requests")
    expect(cases).to_contain_text("Maria Many, account")
    expect(cases).to_contain_text("A physician of Northside General (account")
    officer.look("one-case")
    officer.page.locator("button.justified").click()
    expect(officer.page.locator("#none")).to_be_visible(timeout=30000)
    print("harm: one emergency is one line for the patient and one case for the officer; the page names it where no answer comes")


def elsewhere(case, one):
    """A hospital at which the words have no account is not among those where nothing is recorded."""
    page = one.page
    one.tab("leave")
    page.click("#lock")
    page.fill("#words", " ".join(one.words))
    page.check("#others")
    page.click("#open")
    card = page.locator("#section-problem")
    expect(card).to_contain_text("No problem is recorded at Northside General.", timeout=30000)
    expect(card).to_contain_text("Your words have no account at St. Mary")
    one.look("elsewhere")
    print("harm: hospitals that know no account of these words are not told as asked")


def harms(tools, browser, devnet, pictures):
    case = Case(tools, browser, devnet, pictures)
    berta, _, doctor = others_records(case)
    claims(case, berta, doctor)
    outcomes(berta)
    erased(case, berta, doctor)
    nora = none_known(case, doctor)
    came_later(case)
    as_problem(case)
    outdated(case, doctor)
    beside(case, doctor)
    permitted_in_part(case)
    newer(case, doctor)
    many(case, doctor)
    elsewhere(case, nora)
    values(case)
    for one in case.people:
        one.end()
