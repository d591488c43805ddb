"""The ways through the pages that people take beside the straight one: back and reload, a PIN, another tab, the wrong page,
a wrong clock, a draft, a correction, a consent in a sentence, names, and German."""

import datetime
import re

from playwright.sync_api import expect

from harms import PENICILLIN, Case, observation

PIN = "271828"
WAIT = 15000


def kept(case, path, register, pin=""):
    """Somebody whose keys stay on the device: (person, words, account)."""
    one = case.person(path, size=1000)
    page = one.page
    page.click("#new")
    expect(page.locator("ol.words li")).to_have_count(24)
    words = page.locator("ol.words li").all_text_contents()
    page.check("#keep")
    if pin:
        page.fill("#newPin", "12")
        page.check("#written")
        page.click("#goOn")
        expect(page.locator("main")).to_contain_text("A PIN has six digits or more.")
        page.fill("#newPin", pin)
    page.check("#written")
    page.click("#goOn")
    account = register(page.locator("#code").text_content())
    return one, words, account


def addresses(case):
    """Each view has an address; keys under a PIN come back after a reload; leaving counts for every tab."""
    one, words, _ = kept(case, "/", lambda code: case.devnet.register(1, code), PIN)
    page = one.page
    expect(page.locator("#tab-sharing")).to_be_visible(timeout=WAIT)
    one.tab("sharing")
    expect(page.locator("#give")).to_be_visible(timeout=WAIT)
    assert page.url.endswith("#sharing") and page.title().startswith("Sharing – "), (page.url, page.title())
    one.tab("check")
    expect(page.locator("#file")).to_be_visible()
    page.go_back()
    expect(page.locator("h1")).to_have_text("Sharing")
    page.reload()
    expect(page.locator("#pin")).to_be_visible(timeout=WAIT)
    one.look("locked")
    page.fill("#pin", "000000")
    page.click("#unlock")
    expect(page.locator("main")).to_contain_text("That is not the PIN.", timeout=WAIT)
    page.fill("#pin", PIN)
    page.press("#pin", "Enter")
    expect(page.locator("h1")).to_have_text("Sharing", timeout=WAIT)
    page.go_back()
    expect(page.locator("h1")).to_have_text("My records", timeout=WAIT)
    # The link that leads past the bar leads to no other view.
    page.evaluate("() => document.querySelector('.skip').click()")
    expect(page.locator("h1")).to_have_text("My records")
    other = one.context.new_page()
    other.goto(page.url)
    other.fill("#pin", PIN)
    other.click("#unlock")
    expect(other.locator("#tab-sharing")).to_be_visible(timeout=WAIT)
    one.tab("leave")
    page.click("#lock")
    for each in (page, other):
        expect(each.locator("#words")).to_be_visible(timeout=WAIT)
        assert "#" not in each.url, each.url
    print("way: addresses, back, a PIN over kept keys, and leaving in every tab")

    # As the page shows them, with numbers, and with commas; by a device whose clock is wrong.
    one.context.add_init_script("const real = Date.now; Date.now = () => real() + 300000;")
    page.reload()
    page.fill("#words", ", ".join(f"{number}. {word}" for number, word in enumerate(words, 1)))
    page.click("#open")
    expect(page.locator("#tab-sharing")).to_be_visible(timeout=WAIT)
    expect(page.locator("#section-allergy")).to_contain_text("No allergy is recorded", timeout=WAIT)
    print("way: words with numbers and commas, at a clock that is five minutes off")
    return words


def other_page(case, words):
    """A patient's words at the clinicians' page lead to the right page, and nothing stays there."""
    one = case.person("/clinic", size=360)
    page = one.page
    page.fill("#words", " ".join(words))
    page.check("#keep")
    page.click("#open")
    expect(page.locator("#otherPage")).to_contain_text("no clinician's of this hospital", timeout=WAIT)
    expect(page.locator("#otherPage a")).to_have_attribute("href", "/")
    one.look("other-page")
    page.reload()
    expect(page.locator("#words")).to_be_visible(timeout=WAIT)
    print("way: words at the wrong page lead to the right one, and nobody is stuck")


def idle(case, words):
    """A page that nobody uses locks, and shows nothing of anybody."""
    one = case.person("/", size=1000)
    page = one.page
    page.clock.install()
    page.reload()
    page.fill("#words", " ".join(words))
    page.click("#open")
    expect(page.locator("#section-allergy")).to_be_visible(timeout=WAIT)
    page.clock.fast_forward(21 * 60 * 1000)
    expect(page.locator("h1")).to_have_text("Locked", timeout=WAIT)
    expect(page.locator("main")).to_contain_text("Nobody has used this page for 20 minutes.")
    expect(page.locator("#tabs")).to_be_hidden()
    page.click("#again")
    expect(page.locator("#words")).to_be_visible(timeout=WAIT)
    one.faults = [fault for fault in one.faults if "ERR_ABORTED" not in fault]
    print("way: a page that nobody uses locks")


def writes(case):
    """A draft outlives a reload; what was signed is corrected, stopped, withdrawn; a lost answer makes one record."""
    doctor, _, account = kept(case, "/clinic", lambda code: case.devnet.register(1, code, "--role", "207"))
    expect(doctor.page.locator("#search")).to_be_visible(timeout=WAIT)
    case.devnet.post(1, {"resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": {"resourceType": "Practitioner", "name": [{"prefix": ["Dr."], "given": ["Ada"], "family": "Lee"}],
                     "identifier": [dict(case.tools.ACCOUNT, value=account)]},
        "request": {"method": "POST", "url": "Practitioner"}}]})
    wanda, _, _ = case.patient("Wanda", "Written", [{"resourceType": "Condition", "code": {"text": "Asthma"}},
                                                    observation("Sodium", "2026-11-02", valueQuantity={"value": 139})])
    case.choose(doctor, "Wanda Written")
    page = doctor.page
    page.click("#ask")
    expect(page.locator("#section-problem")).to_contain_text("Asthma", timeout=30000)
    doctor.look("workspace")
    page.fill("#searchRecords", "sodium")
    expect(page.locator("#section-problem li:visible")).to_have_count(0)
    expect(page.locator("#section-result li:visible")).to_have_count(1)
    expect(page.locator("#section-allergy")).to_contain_text("No allergy is recorded")
    page.fill("#searchRecords", "")
    expect(page.locator("#section-problem li:visible")).to_have_count(1)
    page.select_option("#noteKind", "note")
    page.fill("#noteTitle", "Cough")
    page.fill("#noteText", "Since Monday.")
    page.click("#another")
    expect(page.locator("#drafts")).to_contain_text("Wanda Written")
    page.go_back()
    expect(page.locator("#noteText")).to_have_value("Since Monday.", timeout=WAIT)
    page.reload()
    expect(page.locator("#noteText")).to_have_value("Since Monday.", timeout=WAIT)
    expect(page.locator("#banner h1")).to_have_text("Wanda Written")
    print("way: a draft outlives another patient and a reload, and its chart comes back by its address")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/notes", lose)
    page.click("#sign")
    expect(page.locator("#unsigned")).to_contain_text("It is not known whether that worked", timeout=WAIT)
    page.unroute("**/notes")
    page.click("#sign")
    expect(page.locator("#said")).to_contain_text("for Wanda Written", timeout=WAIT)
    doctor.faults = [one for one in doctor.faults if "ERR_FAILED" not in one]
    expect(page.locator("#count")).to_contain_text("There are 4 records.")
    expect(page.locator("#noteText")).to_have_value("")
    print("way: a note whose answer was lost is signed again, and is there once")

    note = page.locator("#section-result > ul > li", has_text="Cough")
    note.locator("summary").first.click()
    expect(note).to_contain_text("Dr. Ada Lee, physician of Northside General")
    note.locator("button.correct").click()
    expect(page.locator("#write")).to_contain_text("Correct what you wrote for Wanda Written")
    expect(page.locator("#noteText")).to_have_value("Since Monday.")
    page.fill("#noteText", "Since Sunday.")
    page.click("#sign")
    expect(page.locator("#section-result > ul")).to_contain_text("Since Sunday.", timeout=WAIT)
    assert "Since Monday" not in page.locator("#section-result > ul").inner_text()
    expect(page.locator("#section-result .apart.replaced")).to_contain_text("Since Monday.")
    page.select_option("#noteKind", "noAllergy")
    expect(page.locator("#noteTitle")).to_be_hidden()
    # After the reload nothing of the chart is read, and a problem may be an allergy.
    expect(page.locator("#warning")).to_contain_text("Not all that may tell of allergies was read", timeout=WAIT)
    page.click("#ask")
    expect(page.locator("#section-problem")).to_contain_text("Asthma", timeout=30000)
    expect(page.locator("#warning")).to_have_text("")
    page.fill("#noteText", "The patient and her husband")
    page.click("#sign")
    card = page.locator("#section-allergy")
    expect(card).to_contain_text("\"No known allergy\" is what Dr. Ada Lee, physician of Northside General wrote", timeout=WAIT)
    page.select_option("#noteKind", "allergy")
    page.fill("#noteTitle", "Latex")
    page.fill("#noteText", "Hives")
    page.select_option("#noteRisk", "high")
    for width in (360, 1280, 1000):
        page.set_viewport_size({"width": width, "height": 800})
        doctor.look(f"allergy-{width}")
    page.click("#sign")
    expect(card).to_contain_text("Reactions: Hives", timeout=WAIT)
    expect(card).to_contain_text("contradicts what else is recorded here")
    page.select_option("#noteKind", "noAllergy")
    expect(page.locator("#warning")).to_contain_text("Allergies are recorded: Latex. Is it right that none is known?")
    none = card.locator("ul > li", has_text="No known allergy")
    none.locator("summary").first.click()
    none.locator(".amend input").fill("Latex was forgotten")
    none.locator("button.withdraw").click()
    expect(card.locator(".apart.invalid")).to_contain_text("Latex was forgotten", timeout=WAIT)
    print("way: an allergy, and that none is known, are written where everybody looks for them")
    page.select_option("#noteKind", "prescription")
    page.fill("#noteTitle", "Doxycycline 100 mg")
    page.fill("#noteText", "1 tablet a day")
    page.click("#sign")
    medicine = page.locator("#section-medicine > ul > li", has_text="Doxycycline")
    expect(medicine).to_have_count(1, timeout=WAIT)
    medicine.locator("summary").first.click()
    medicine.locator("button.stop").click()
    expect(medicine).to_contain_text("Say why.")
    medicine.locator(".amend input").fill("Rash")
    doctor.look("stop")
    medicine.locator("button.stop").click()
    expect(page.locator("#section-medicine .apart.past")).to_contain_text("Doxycycline", timeout=WAIT)
    assert page.locator("#section-medicine > ul > li", has_text="Doxycycline").count() == 0
    note = page.locator("#section-result > ul > li", has_text="Cough")
    note.locator("summary").first.click()
    note.locator(".amend input").fill("Another patient's")
    note.locator("button.withdraw").click()
    expect(page.locator("#section-result .apart.invalid")).to_contain_text("Since Sunday.", timeout=WAIT)
    wanda.tab("records")
    expect(wanda.page.locator("#section-medicine .apart.past")).to_contain_text("Because: Rash", timeout=WAIT)
    expect(wanda.page.locator("#section-result .apart.invalid")).to_contain_text("Another patient's")
    wanda.tab("history")
    expect(wanda.page.locator("#history")).to_contain_text("Dr. Ada Lee, physician of Northside General asked for", timeout=WAIT)
    expect(wanda.page.locator("#history")).to_contain_text("problems (1)")
    wanda.look("named")
    print("way: what was signed is corrected, stopped and withdrawn by whoever wrote it; the patient reads the name")
    return wanda, account


def consents(case, wanda, doctor):
    """A permission is said in a sentence before it is given; nothing sensitive, and not for ever, by default."""
    page = wanda.page
    wanda.tab("sharing")
    expect(page.locator("input[value=sensitive]")).not_to_be_checked()
    until = datetime.date.fromisoformat(page.input_value("#until"))
    assert 360 < (until - datetime.date.today()).days < 370, until
    expect(page.locator("#summary")).to_contain_text(
        "All clinicians of Northside General may read everything that is not especially sensitive to treat you, until")
    page.select_option("#kind", "denial")
    expect(page.locator("input[value=sensitive]")).to_be_checked()
    expect(page.locator("#until")).to_have_value("")
    page.select_option("#kind", "")
    page.select_option("#who", "")
    page.fill("#account", "ab" * 32)
    page.click("#give")
    expect(page.locator("main")).to_contain_text("No account has this number.", timeout=WAIT)
    page.fill("#account", doctor.upper())
    page.locator("#account").blur()
    expect(page.locator("#whoseAccount")).to_have_text("Dr. Ada Lee, physician of Northside General", timeout=WAIT)
    expect(page.locator("#summary")).to_contain_text("Dr. Ada Lee, physician of Northside General may read")
    wanda.look("summary")
    page.click("#give")
    expect(page.locator("#said")).to_contain_text("Given", timeout=WAIT)
    expect(page.locator("#consents li")).to_have_count(1, timeout=WAIT)
    # The form is empty again, now that the list shows the first.
    page.select_option("#who", "")
    page.fill("#account", doctor)
    page.click("#give")
    expect(page.locator("#consents")).to_contain_text("given 2 times", timeout=WAIT)
    expect(page.locator("#consents li")).to_have_count(1)
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#consents .mark.good")).to_have_count(0, timeout=WAIT)
    expect(page.locator("#consents")).to_contain_text("could read everything that is not especially sensitive")
    print("way: a permission is a sentence before it is given; equal ones are one, and are taken back together")


def german(case):
    """Who reads German reads German: every view, and what was asked for in the other language too."""
    one = case.person("/", size=320, scheme="dark", language="de-DE")
    page = one.page
    expect(page.locator("h1")).to_have_text("Ihre Akte, von Ihnen geöffnet")
    assert page.evaluate("() => document.documentElement.lang") == "de-DE"
    _, code = one.code()
    account = case.devnet.register(1, code)
    case.post(account, "Gerda", "Deutsch", [
        PENICILLIN, observation("Kalium", "2026-11-02", valueQuantity={"value": "#6.90", "unit": "mmol/L"}, interpretation=[{"coding": [{"code": "HH"}]}]),
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Amoxicillin"},
         "dosageInstruction": [{"timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}}}]}])
    expect(page.locator("#tab-records")).to_be_visible(timeout=WAIT)
    one.tab("records")
    expect(page.locator("#section-allergy")).to_contain_text("hohes Risiko", timeout=WAIT)
    expect(page.locator("#section-result")).to_contain_text("bedrohlich HOCH")
    expect(page.locator("#section-medicine")).to_contain_text("3-mal am Tag")
    expect(page.locator(".conflict")).to_contain_text("beide gehören zu: Penicilline")
    expect(page.locator("#whose")).to_contain_text("geboren 3. Feb. 1961")
    english = re.compile(r"\b(the|and|records?|not known|with your)\b")
    for name in ["records", "history", "sharing", "others", "check", "leave"]:
        one.tab(name)
        expect(page.locator("main .waiting")).to_have_count(0, timeout=WAIT)
        one.look(f"german-{name}")
        said = re.sub(r"consilium \S+ .*|Northside General|St\. Mary\S*|urn:\S+", "", page.locator("main").inner_text())
        assert not english.search(said), f"{name}: {english.search(said).group(0)} in {said}"
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Your records, opened by you", timeout=WAIT)
    assert page.evaluate("() => document.documentElement.lang").startswith("en")
    clinic = case.person("/clinic", size=320, language="de-AT")
    expect(clinic.page.locator("h1")).to_have_text("Für Behandelnde")
    clinic.look("german-clinic")
    for path, words in [("/officer", "Für den Datenschutz"), ("/verify", "Einen Eintrag prüfen")]:
        clinic.page.goto(case.tools.portal(1) + path)
        expect(clinic.page.locator("h1")).to_have_text(words, timeout=WAIT)
        clinic.look("german-other")
    print("way: German at 320 pixels in the dark, and the other language by a button")


def ways(tools, browser, devnet, pictures):
    case = Case(tools, browser, devnet, pictures)
    words = addresses(case)
    other_page(case, words)
    idle(case, words)
    consents(case, *writes(case))
    german(case)
    for one in case.people:
        one.end()
