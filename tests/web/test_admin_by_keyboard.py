"""The administration by keyboard alone: from the front page to a quarantine, to an invitation, and to the settings."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support import accounts
from tests.support.server import Server
from tests.web import people
from tests.web.administrators import administrator
from tests.web.conftest import NewPage
from tests.web.test_pages_are_accessible import _tab_to as tab_to


def enter(page: Page) -> None:
    """Presses Enter and waits for the page that it leads to."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.fixture
def page(new_page: NewPage, server: Server) -> Page:
    """An administrator's browser on the front page of the administration."""
    page = new_page()
    people.sign_in(page, administrator(server), to="/")
    tab_to(page, "Administration")
    enter(page)
    page.get_by_role("heading", name="Administration").wait_for()
    return page


def test_a_package_goes_into_quarantine_and_out_of_it(page: Page, server: Server) -> None:
    name = accounts.fresh_name("core")
    assert accounts.publish(accounts.sign_up(server), name).status == 201
    tab_to(page, "Packages")
    enter(page)
    tab_to(page, "Name")
    page.keyboard.type(name)
    enter(page)
    tab_to(page, name)
    enter(page)
    tab_to(page, "Reason")
    page.keyboard.type("It steals tokens.")
    enter(page)
    expect(page.get_by_text("In quarantine since")).to_be_visible()
    tab_to(page, "Release")
    enter(page)
    expect(page.get_by_text("The package can be installed again.")).to_be_visible()


def test_an_invitation_is_made(page: Page) -> None:
    tab_to(page, "Invitations")
    enter(page)
    tab_to(page, "Email of the guest")
    enter(page)
    expect(page.locator("#link")).to_contain_text("/signup?invitation=")


def test_the_trail_is_filtered(page: Page) -> None:
    tab_to(page, "Audit trail")
    enter(page)
    tab_to(page, "Account")
    page.keyboard.type("nobody-at-all")
    enter(page)
    expect(page.get_by_text("No event fits.")).to_be_visible()
