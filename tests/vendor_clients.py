"""Plain HTTP to the sandbox's vendors, written without the connectors: what an independent client would do."""

from __future__ import annotations

import json
import time
from typing import Any

import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account

READ_ONLY = "https://www.googleapis.com/auth/bigquery.readonly"


class ShopifyApi:
    """GraphQL with a token of its own."""

    def __init__(self, variables: dict[str, str], version: str = "2026-10") -> None:
        self.root = variables["SHOPIFY_BASE_URL"] + "/admin"
        self.url = f"{self.root}/api/{version}/graphql.json"
        self.token = self.login(variables["SHOPIFY_CLIENT_ID"], variables["SHOPIFY_CLIENT_SECRET"]).json()[
            "access_token"
        ]

    def login(self, client_id: str, secret: str) -> requests.Response:
        form = {"client_id": client_id, "client_secret": secret, "grant_type": "client_credentials"}
        return requests.post(f"{self.root}/oauth/access_token", json=form, timeout=10)

    def post(self, query: str, **variables: Any) -> requests.Response:
        headers = {"X-Shopify-Access-Token": self.token}
        return requests.post(self.url, json={"query": query, "variables": variables}, headers=headers, timeout=30)

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.post(query, **variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def pages(self, query: str, root: str, **variables: Any) -> list[list[dict[str, Any]]]:
        """The nodes of every page of a root connection; the query takes `$after`."""
        pages, after = [], None
        while True:
            connection = self.data(query, after=after, **variables)[root]
            pages.append(connection["nodes"])
            if not connection["pageInfo"]["hasNextPage"]:
                return pages
            after = connection["pageInfo"]["endCursor"]

    def start_bulk(self, query: str) -> dict[str, Any]:
        return self.data(
            "mutation($q:String!){bulkOperationRunQuery(query:$q)"
            "{bulkOperation{id status} userErrors{field message code}}}",
            q=query,
        )["bulkOperationRunQuery"]

    def poll(self, operation: str) -> dict[str, Any]:
        fields = "id status errorCode objectCount rootObjectCount fileSize url"
        return self.data(f"query($id:ID!){{bulkOperation(id:$id){{{fields}}}}}", id=operation)["bulkOperation"]

    def bulk(self, query: str) -> tuple[list[dict[str, Any]], list[str], dict[str, Any]]:
        """(lines of the result, statuses seen, the finished operation)."""
        started = self.start_bulk(query)
        assert started["userErrors"] == [], started
        statuses = [started["bulkOperation"]["status"]]
        for _ in range(600):
            operation = self.poll(started["bulkOperation"]["id"])
            statuses.append(operation["status"])
            if operation["status"] in {"COMPLETED", "FAILED"}:
                break
            time.sleep(0.02)
        if not operation["url"]:
            return [], statuses, operation
        answer = requests.get(operation["url"], timeout=30)
        assert len(answer.content) == int(operation["fileSize"])
        return [json.loads(line) for line in answer.content.splitlines()], statuses, operation


class HubspotApi:
    """The CRM with the sandbox's token."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.root = variables["HUBSPOT_BASE_URL"]
        self.token = variables["HUBSPOT_ACCESS_TOKEN"]

    def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, self.root + path, json=body, params=params, headers=headers, timeout=10)


class BigQueryApi:
    """BigQuery with a token from Google's own authentication library."""

    def __init__(self, variables: dict[str, str]) -> None:
        account = json.loads(variables["GA4_CREDENTIALS_JSON"])
        signed = service_account.Credentials.from_service_account_info(account, scopes=[READ_ONLY])
        signed.refresh(Request())
        self.token = signed.token
        self.project = f"{variables['GA4_BASE_URL']}/bigquery/v2/projects/{variables['GA4_PROJECT']}"
        self.dataset = f"analytics_{variables['GA4_PROPERTY_ID']}"
        self.tables = f"/datasets/{self.dataset}/tables"

    def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, self.project + path, json=body, params=params, headers=headers, timeout=30)

    def query(self, sql: str, **options: Any) -> requests.Response:
        return self("POST", "/queries", {"query": sql, "useLegacySql": False, **options})

    def all_rows(self, sql: str, **options: Any) -> list[list[dict[str, Any]]]:
        """The rows of every page of a query's result."""
        answer = self.query(sql, **options).json()
        pages = [answer.get("rows", [])]
        while "pageToken" in answer:
            given = {"pageToken": answer["pageToken"], **options}
            answer = self("GET", f"/queries/{answer['jobReference']['jobId']}", **given).json()
            pages.append(answer["rows"])
        return pages
