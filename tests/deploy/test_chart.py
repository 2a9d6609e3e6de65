"""The chart: what it makes is taken by every Kubernetes from 1.27 on, holds no secret, and is closed to strangers.

What cannot work is refused in a sentence before anything is installed.
"""

import copy
import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import zaptrix
from tests.deploy.charts import CHART, NEEDED, OPERATOR, Json, faults, merged, notes, one, pods, refusal, rendered
from tests.deploy.charts import variables as told_to
from tests.programs import ROOT, answered, ran
from zaptrix.settings import KINDS, NAMES, Settings

KUBERNETES = ("1.27", "1.31", "1.37")

MONITORING = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]

EVERYTHING = merged(
    NEEDED,
    {
        "image": {"digest": f"sha256:{'0a' * 32}", "pullSecrets": ["registry"]},
        "publicUrl": "https://gateway.example.com:8443/",
        "secrets": {
            "names": [
                "REDIS_URL",
                "ENCRYPTION_KEYS",
                "META_APP_SECRET",
                "META_VERIFY_TOKEN",
                "METRICS_TOKEN",
                "AWS_ACCESS_KEY_ID",
            ],
            "from": {
                "DATABASE_URL": {"secret": "zaptrix-db-app", "key": "uri"},
                "BITRIX_CLIENT_SECRET": {"secret": "portal", "key": "client.secret"},
                "AWS_SECRET_ACCESS_KEY": {"secret": "bucket", "key": "secret"},
            },
        },
        "settings": {
            "LOG_LEVEL": "debug",
            "API_RATE_PER_MIN": 1_000_000,
            "SWEEP_INTERVAL_S": 2.5,
            "TRUSTED_PROXIES": ["10.0.0.0/8", "fd00::/8"],
            "HOST": "::",
            "AWS_ENDPOINT_URL": "https://s3.example.com:9000",
            "AWS_REGION": "eu-south-2",
            "AWS_CA_BUNDLE": "/run/secrets/certificates/s3.pem",
            "MEDIA_RETENTION_DAYS": 365,
        },
        "certificates": {"secret": "authorities"},
        "media": {"credentialsSecret": "bucket"},
        "gateway": {
            "autoscaling": {"enabled": True, "maxReplicas": 12},
            "spool": {"persistent": True, "storageClass": "fast"},
            "podAnnotations": {"example.com/team": "messages"},
            "podLabels": {"team": "messages"},
            "priorityClassName": "high",
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
        },
        "worker": {
            "queues": ["meta-messages", "bitrix24-messages"],
            "autoscaling": {"enabled": True, "metric": {"labels": {"queue": "meta-messages"}}},
        },
        "backup": {"enabled": True, "to": "s3://zaptrix/backups", "timeZone": "America/Sao_Paulo", "media": False},
        "service": {"type": "LoadBalancer", "annotations": {"example.com/balancer": "public"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "tlsSecret": "gateway-tls",
            "annotations": {
                "cert-manager.io/cluster-issuer": "letsencrypt",
                "nginx.ingress.kubernetes.io/proxy-body-size": "110m",
            },
        },
        "networkPolicy": {
            "postgresql": {"ports": [5432, 6432], "peers": [{"ipBlock": {"cidr": "10.1.0.0/24"}}]},
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.2.0.7/32"}}], "ports": [{"port": 9000}]}],
        },
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/zaptrix"}},
        "monitoring": {"labels": {"release": "kube-prometheus-stack"}},
    },
)
SMALL = merged(
    NEEDED,
    {
        "media": {"url": "", "existingClaim": "zaptrix-files"},
        "gateway": {"replicas": 1},
        "worker": {"replicas": 1},
        "backup": {"enabled": True, "existingClaim": "zaptrix-backups"},
        "podSecurity": {"runAsUser": None, "fsGroup": None},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]},
        "networkPolicy": {"enabled": False, "clients": []},
        "migrate": {"enabled": False},
    },
)
SETS = {"needed": (NEEDED, ()), "everything": (EVERYTHING, (OPERATOR,)), "small": (SMALL, ())}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    """What each set of values makes, rendered once."""
    folder = tmp_path_factory.mktemp("values")
    return {name: rendered(folder, values, *apis) for name, (values, apis) in SETS.items()}


def test_helm_finds_nothing_to_say_about_it(tmp_path: Path) -> None:
    for name, (values, _) in SETS.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(values))
        ran("helm", "lint", "--strict", "--quiet", CHART, "-f", file)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_what_kubernetes_takes(releases: dict[str, list[Json]], version: str) -> None:
    found = [fault for objects in releases.values() for each in objects for fault in faults(each, version)]
    assert found == []


def test_the_schemas_would_find_what_is_wrong(releases: dict[str, list[Json]]) -> None:
    """A field of another name, a wrong type, a kind that is gone: else the test above would say nothing."""
    slip = copy.deepcopy(one(releases["needed"], "Deployment", "shop-zaptrix-gateway"))
    container = slip["spec"]["template"]["spec"]["containers"][0]
    container["livenesProbe"] = container.pop("livenessProbe")
    slip["spec"]["replicas"] = "two"
    assert len(faults(slip, "1.37")) == 2
    assert faults({**slip, "apiVersion": "extensions/v1beta1"}, "1.37")


def test_every_pod_keeps_the_restricted_standard(releases: dict[str, list[Json]]) -> None:
    """And a root that is not written: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    seen = set()
    for name, objects in releases.items():
        for part, pod in pods(objects):
            seen.add(part)
            [container] = pod["containers"]
            assert "initContainers" not in pod
            basis = pod["securityContext"]
            assert basis["runAsNonRoot"] is True
            assert basis.get("runAsUser") == (None if name == "small" else 10001)
            assert basis["seccompProfile"] == {"type": "RuntimeDefault"}
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {kind for volume in pod["volumes"] for kind in volume.keys() - {"name"}} <= {
                "emptyDir", "projected", "secret", "persistentVolumeClaim",
            }  # fmt: skip
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
            assert pod["automountServiceAccountToken"] is False
            assert pod["enableServiceLinks"] is False
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            places = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/var/lib/zaptrix", "/tmp", "/run/secrets/zaptrix"} <= places  # noqa: S108 - inside of a container
            assert ("/run/secrets/certificates" in places) == (name == "everything"), part
            named = {volume["name"] for volume in pod["volumes"]} | {"data"}
            assert {mount["name"] for mount in container["volumeMounts"]} <= named
    assert seen == {"gateway", "worker", "migrate", "backup"}


def test_every_variable_is_a_setting_and_its_value_is_taken(releases: dict[str, list[Json]]) -> None:
    for objects in releases.values():
        for part, pod in pods(objects):
            told = told_to(pod)
            assert told.keys() <= NAMES, part
            Settings.from_env({name: value for name, value in told.items() if name in KINDS})
    gateway = told_to(dict(pods(releases["everything"]))["gateway"])
    assert gateway["API_RATE_PER_MIN"] == "1000000"
    assert gateway["SWEEP_INTERVAL_S"] == "2.5"
    assert gateway["TRUSTED_PROXIES"] == "10.0.0.0/8,fd00::/8"
    assert gateway["HOST"] == "::"
    assert gateway["PUBLIC_URL"] == "https://gateway.example.com:8443/"


def test_secrets_are_named_and_never_told(releases: dict[str, list[Json]]) -> None:
    """Each is a file whose path its variable names; the migration is given the database's alone."""
    for objects in releases.values():
        assert "Secret" not in {each["kind"] for each in objects}
        for part, pod in pods(objects):
            files = {name: path for name, path in told_to(pod).items() if name.endswith("_FILE")}
            [volume] = [each for each in pod["volumes"] if each["name"] == "secrets"]
            [source] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "secrets"]
            items = [item for each in volume["projected"]["sources"] for item in each["secret"]["items"]]
            assert source["readOnly"] is True
            assert {f"{item['path']}_FILE": f"{source['mountPath']}/{item['path']}" for item in items} == files, part
            if part == "migrate":
                assert set(files) == {"DATABASE_URL_FILE"}
    elsewhere = dict(pods(releases["everything"]))["worker"]["volumes"]
    sources = [each["secret"] for volume in elsewhere if volume["name"] == "secrets"
               for each in volume["projected"]["sources"]]  # fmt: skip
    assert {"name": "zaptrix-db-app", "items": [{"key": "uri", "path": "DATABASE_URL"}]} in sources


def test_a_cluster_asks_what_does_not_depend_on_servers_and_waits_for_the_drain(
    releases: dict[str, list[Json]],
) -> None:
    """`/health` is 503 while a database is away: asked, it would close all gateways at once, just when they spool."""
    for objects in releases.values():
        for part, pod in pods(objects):
            [container] = pod["containers"]
            asked = {
                name: container[name]["httpGet"]["path"]
                for name in ("startupProbe", "livenessProbe", "readinessProbe")
                if name in container
            }
            if part == "gateway":
                assert asked == {
                    "startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready",
                }  # fmt: skip
                delay = int(told_to(pod)["SHUTDOWN_DELAY_S"])
                assert pod["terminationGracePeriodSeconds"] >= delay + 15 + 5
                ready = container["readinessProbe"]
                assert delay > ready["periodSeconds"] * ready["failureThreshold"]
            elif part == "worker":
                assert set(asked.values()) == {"/health/live"}
                assert pod["terminationGracePeriodSeconds"] > 10


def test_files_are_seen_by_gateways_workers_and_backups(releases: dict[str, list[Json]]) -> None:
    for part, pod in pods(releases["small"]):
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts["media"] == "/var/lib/zaptrix/media", part
        assert "MEDIA_URL" not in told_to(pod)
    for part, pod in pods(releases["everything"]):
        assert told_to(pod).get("MEDIA_URL") == (None if part == "migrate" else "s3://zaptrix/media")
        assert ("envFrom" in pod["containers"][0]) == (part != "migrate")


def test_a_backup_reaches_the_object_store_as_gateways_do_and_is_told_nothing_that_it_does_not_need(
    releases: dict[str, list[Json]],
) -> None:
    found = dict(pods(releases["everything"]))
    backup, gateway = (told_to(found[part]) for part in ("backup", "gateway"))
    shared = {name: value for name, value in gateway.items() if name.startswith(("AWS_", "DATABASE_", "MEDIA_"))}
    assert {
        "AWS_ENDPOINT_URL",
        "AWS_CA_BUNDLE",
        "AWS_ACCESS_KEY_ID_FILE",
        "AWS_SECRET_ACCESS_KEY_FILE",
    } <= shared.keys()
    assert shared["MEDIA_RETENTION_DAYS"] == "365"  # how far back files are taken
    assert backup == {
        **shared, "DATA_DIR": "/var/lib/zaptrix", "ENCRYPTION_KEYS_FILE": "/run/secrets/zaptrix/ENCRYPTION_KEYS",
    }  # fmt: skip


def test_migrations_run_before_anything_of_ours_is_there(releases: dict[str, list[Json]]) -> None:
    job = one(releases["needed"], "Job", "shop-zaptrix-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    policy = one(releases["needed"], "NetworkPolicy", "shop-zaptrix-migrate")
    told = [each["metadata"]["annotations"] for each in (policy, job)]
    assert told[0]["helm.sh/hook"] == told[1]["helm.sh/hook"]
    assert int(told[0]["helm.sh/hook-weight"]) < int(told[1]["helm.sh/hook-weight"])
    small = [each for each in releases["small"] if each["metadata"]["name"].endswith("-migrate")]
    assert not small


def test_no_pod_of_ours_may_be_called_or_call_without_a_rule(releases: dict[str, list[Json]]) -> None:
    policies = {
        each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: each["spec"]
        for each in releases["everything"]
        if each["kind"] == "NetworkPolicy"
    }
    assert policies.keys() == {part for part, _ in pods(releases["everything"])}
    for spec in policies.values():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        blocks = [to["ipBlock"] for rule in spec["egress"] for to in rule.get("to", ()) if "ipBlock" in to]
        [everywhere] = [block for block in blocks if block["cidr"] == "0.0.0.0/0"]
        assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(everywhere["except"])
        assert all("port" in port for rule in spec["egress"] for port in rule["ports"])
        names = {(port["port"], port["protocol"]) for port in spec["egress"][0]["ports"]}
        assert names == {(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}
    assert [(rule["from"], rule["ports"][0]["port"]) for rule in policies["gateway"]["ingress"]] == [
        (NEEDED["networkPolicy"]["clients"], "http"), (MONITORING, "http"),
    ]  # fmt: skip
    assert [rule["ports"][0]["port"] for rule in policies["worker"]["ingress"]] == ["metrics"]
    assert policies["migrate"]["ingress"] == policies["backup"]["ingress"] == []


def test_pods_are_spread_scaled_and_taken_away_one_by_one(releases: dict[str, list[Json]]) -> None:
    objects = releases["everything"]
    for part in ("gateway", "worker"):
        budget = one(objects, "PodDisruptionBudget", f"shop-zaptrix-{part}")["spec"]
        kind = "StatefulSet" if part == "gateway" else "Deployment"
        work = one(objects, kind, f"shop-zaptrix-{part}")["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"] == work["selector"]
        assert work["selector"]["matchLabels"].items() <= work["template"]["metadata"]["labels"].items()
        assert [each["topologyKey"] for each in work["template"]["spec"]["topologySpreadConstraints"]] == [
            "kubernetes.io/hostname", "topology.kubernetes.io/zone",
        ]  # fmt: skip
        assert "replicas" not in work, "the autoscaler's to say"
        target = one(objects, "HorizontalPodAutoscaler", f"shop-zaptrix-{part}")["spec"]["scaleTargetRef"]
        assert target == {"apiVersion": "apps/v1", "kind": kind, "name": f"shop-zaptrix-{part}"}
    assert one(releases["needed"], "Deployment", "shop-zaptrix-gateway")["spec"]["replicas"] == 2
    scaler = one(objects, "HorizontalPodAutoscaler", "shop-zaptrix-worker")["spec"]
    external = scaler["metrics"][0]["external"]
    assert external["metric"]["name"] == "zaptrix_queue_oldest_age_seconds"
    assert external["target"] == {"type": "Value", "value": "20"}


def test_a_gateway_may_keep_its_disk_as_a_stateful_set(releases: dict[str, list[Json]]) -> None:
    spec = one(releases["everything"], "StatefulSet", "shop-zaptrix-gateway")["spec"]
    [claim] = spec["volumeClaimTemplates"]
    assert (claim["metadata"]["name"], claim["spec"]["storageClassName"]) == ("data", "fast")
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert one(releases["everything"], "Service", spec["serviceName"])["spec"]["clusterIP"] == "None"
    assert "data" not in {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def test_what_prometheus_operator_knows_is_made_only_where_it_is(releases: dict[str, list[Json]]) -> None:
    kinds = {name: {each["kind"] for each in objects} for name, objects in releases.items()}
    assert {"ServiceMonitor", "PrometheusRule"} <= kinds["everything"]
    assert not {"ServiceMonitor", "PrometheusRule"} & (kinds["needed"] | kinds["small"])
    for part, port in (("gateway", "http"), ("worker", "metrics")):
        monitor = one(releases["everything"], "ServiceMonitor", f"shop-zaptrix-{part}")
        [endpoint] = monitor["spec"]["endpoints"]
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        assert (endpoint["port"], endpoint["path"]) == (port, "/metrics")
        assert endpoint["authorization"]["credentials"] == {"name": "zaptrix", "key": "METRICS_TOKEN"}
        assert endpoint["relabelings"][0]["replacement"] == f"zaptrix-{part}"
        service = next(
            each for each in releases["everything"]
            if each["kind"] == "Service"
            and monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
        )  # fmt: skip
        assert port in {each["name"] for each in service["spec"]["ports"]}


def test_rules_and_dashboard_are_those_of_this_repository(releases: dict[str, list[Json]], tmp_path: Path) -> None:
    """One source: the chart has links to them, and its package the files themselves."""
    rules = {path.stem: YAML(typ="safe").load(path) for path in (ROOT / "deploy/prometheus/rules").glob("*.yml")}
    found = {
        each["metadata"]["name"].removeprefix("shop-zaptrix-"): each["spec"]
        for each in releases["everything"]
        if each["kind"] == "PrometheusRule"
    }
    assert found == rules
    assert rules
    board = one(releases["needed"], "ConfigMap", "shop-zaptrix-dashboard")
    shipped = ROOT / "grafana/dashboards/zaptrix-dashboard.json"
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["zaptrix-dashboard.json"]) == json.loads(shipped.read_text())
    ran("helm", "package", CHART, "-d", tmp_path)
    packed = ran("helm", "template", "shop", *tmp_path.glob("*.tgz"), "-f", _needed(tmp_path), "-a", OPERATOR)
    assert packed.count("- alert:") == sum(text.count("- alert:") for text in _texts("deploy/prometheus/rules"))


def _needed(folder: Path) -> Path:
    file = folder / "needed.json"
    file.write_text(json.dumps(NEEDED))
    return file


def _texts(folder: str) -> list[str]:
    return [path.read_text() for path in (ROOT / folder).glob("*.yml")]


def test_people_reach_it_by_an_ingress_or_a_route(releases: dict[str, list[Json]]) -> None:
    ingress = one(releases["everything"], "Ingress", "shop-zaptrix")["spec"]
    assert ingress["tls"] == [{"hosts": ["gateway.example.com"], "secretName": "gateway-tls"}]
    assert ingress["rules"][0]["host"] == "gateway.example.com"
    route = one(releases["small"], "HTTPRoute", "shop-zaptrix")["spec"]
    assert route["hostnames"] == ["gateway.example.com"]
    assert route["rules"] == [{"backendRefs": [{"name": "shop-zaptrix", "port": 80}]}]


def test_names_are_the_releases(tmp_path: Path) -> None:
    """Two releases in one namespace share nothing."""
    named = re.findall(
        r"^  name: (\S+)$", ran("helm", "template", "zaptrix-b", CHART, "-f", _needed(tmp_path)), re.MULTILINE
    )
    assert named
    assert all(name.startswith("zaptrix-b") for name in named)


@pytest.mark.parametrize(("release", "taken"), [("n" * 36, True), ("n" * 37, False), ("zaptrix" + "n" * 38, False)])
def test_a_release_whose_names_kubernetes_would_refuse_is_refused_before(
    tmp_path: Path, release: str, taken: bool
) -> None:
    values = merged(NEEDED, {"backup": {"enabled": True, "to": "s3://zaptrix/backups"}})
    (tmp_path / "values.json").write_text(json.dumps(values))
    code, told = answered("helm", "template", release, CHART, "-f", tmp_path / "values.json")
    assert (code == 0) is taken, told
    assert ("the release's name is too long" in told) is not taken


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": {"repository": ""}}, "image.repository is not set"),
        ({"publicUrl": ""}, "publicUrl is not set"),
        ({"publicUrl": "http://gateway.example.com"}, "'/publicUrl'"),
        ({"publicUrl": "https://gateway.example.com/zaptrix"}, "'/publicUrl'"),
        ({"secrets": {"existingSecret": ""}}, "the Secret that holds DATABASE_URL, REDIS_URL, ENCRYPTION_KEYS"),
        ({"secrets": {"names": ["DATABASE_URL"]}}, "secrets.names: ENCRYPTION_KEYS is needed"),
        ({"secrets": {"names": None}}, "secrets.names: DATABASE_URL is needed"),
        ({"secrets": {"names": []}}, "secrets.names: DATABASE_URL is needed"),
        ({"secrets": {"from": None, "names": ["DATABASE_URL"]}}, "secrets.names: REDIS_URL is needed"),
        ({"secrets": None}, "missing property 'secrets'"),
        ({"gateway": {"spool": None}}, "missing property 'spool'"),
        ({"secrets": {"names": ["LOG_LEVEL"]}}, "'/secrets/names/0'"),
        ({"secrets": {"from": {"DATABASE_URL": {"secret": "db"}}}}, "missing property 'key'"),
        ({"secrets": {"DATABASE_URL": "postgresql://u:p@h/d"}}, "additional properties 'DATABASE_URL' not allowed"),
        ({"settings": {"LOG_LEVLE": "debug"}}, "additional properties 'LOG_LEVLE' not allowed"),
        ({"settings": {"META_APP_SECRET": "s"}}, "additional properties 'META_APP_SECRET' not allowed"),
        ({"settings": {"PORT": 80}}, "additional properties 'PORT' not allowed"),
        ({"media": {"url": ""}}, "media: gateways and workers must see the same files"),
        ({"media": {"url": "", "existingClaim": ""}, "gateway": {"replicas": 3}}, "media: gateways and workers must"),
        ({"media": {"existingClaim": "files"}}, "media: files are kept in one place"),
        ({"media": {"url": "file:///files"}}, "'/media/url'"),
        ({"media": {"url": "s3://key:secret@bucket"}}, "'/media/url'"),
        ({"networkPolicy": {"clients": []}}, "networkPolicy.clients is empty, so nobody could call the gateway"),
        ({"gateway": {"replicas": 0}}, "'/gateway/replicas'"),
        ({"gateway": {"replicaCount": 3}}, "additional properties 'replicaCount' not allowed"),
        ({"worker": {"queues": ["meta"]}}, "'/worker/queues/0'"),
        ({"worker": {"autoscaling": {"enabled": True, "minReplicas": 9}}}, "worker.autoscaling: minReplicas is more"),
        ({"backup": {"enabled": True}}, "backup: set backup.to"),
        ({"backup": {"enabled": True, "to": "s3://b/c", "existingClaim": "d"}}, "backups are kept in one place"),
        ({"backup": {"schedule": "every night"}}, "'/backup/schedule'"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
        ({"podSecurity": {"runAsUser": 0}}, "'/podSecurity/runAsUser'"),
        ({"postgresql": {"enabled": True}}, "additional properties 'postgresql' not allowed"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(tmp_path: Path, change: Json, words: str) -> None:
    assert words in refusal(tmp_path, merged(NEEDED, change))


def test_settings_without_any_line_are_none(tmp_path: Path) -> None:
    """As YAML reads a heading below which everything is a comment."""
    bare = merged(NEEDED, {"settings": None, "secrets": {"from": None}})
    assert rendered(tmp_path, bare) == rendered(tmp_path, NEEDED)
    assert notes(tmp_path, bare) == notes(tmp_path, NEEDED)


def test_an_older_cluster_is_refused(tmp_path: Path) -> None:
    code, told = answered("helm", "template", "shop", CHART, "-f", _needed(tmp_path), "--kube-version", "1.26")
    assert code != 0
    assert "requires kubeVersion: >=1.27" in told


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    told = refusal(tmp_path, {})
    assert len(re.findall(r"^  - .+ \| .+$", told, re.MULTILINE)) == 5


def test_the_notes_tell_the_next_step_and_what_is_not_there_yet(tmp_path: Path) -> None:
    bare = notes(tmp_path, NEEDED)
    assert "kubectl -n default exec deployment/shop-zaptrix-gateway -- zaptrix doctor" in bare
    assert "https://gateway.example.com/webhooks/meta" in bare
    assert bare.count("\n  ! ") == 4
    nginx = merged(NEEDED, {"ingress": {"enabled": True, "className": "nginx"}})
    assert "answers 413 to larger files" in notes(tmp_path, nginx)
    size = {"nginx.ingress.kubernetes.io/proxy-body-size": "110m"}
    assert "413" not in notes(tmp_path, merged(nginx, {"ingress": {"annotations": size}}))
    full = notes(tmp_path, EVERYTHING)
    assert "statefulset/shop-zaptrix-gateway" in full
    assert full.count("\n  ! ") == 1
    assert "This cluster knows no ServiceMonitor, so nothing watches yet." in full
    assert "https://gateway.example.com:8443/webhooks/meta" in full


def test_what_the_readmes_show_can_be_installed(tmp_path: Path) -> None:
    """In both languages: the same values and commands, and every value that a sentence names is one."""
    english, portuguese = ((CHART / name).read_text() for name in ("README.md", "README.pt-BR.md"))
    shown = [
        [YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)]
        for page in (english, portuguese)
    ]
    assert shown[0] == shown[1]
    assert {part for part, _ in pods(rendered(tmp_path, shown[0][0]))} == {"gateway", "worker", "migrate", "backup"}
    known = YAML(typ="safe").load(CHART / "values.yaml")
    named = [set(re.findall(r"`((?:{})\.[\w.]+)`".format("|".join(known)), page)) for page in (english, portuguese)]
    assert named[0] == named[1]
    for name in named[0]:
        value = known
        for part in name.split("."):
            assert part in value or name.startswith("settings."), name
            value = value.get(part, {}) if isinstance(value, dict) else {}
    assert {name.removeprefix("settings.") for name in named[0] if name.startswith("settings.")} <= KINDS.keys()


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (zaptrix.__version__, zaptrix.__version__)
    assert "dependencies" not in chart


def test_every_value_is_told_of_in_the_schema() -> None:
    """A value that the schema does not know could not be set; one without a default would be told of nowhere."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def names(part: Json, path: str = "") -> set[str]:
        inner = part.get("properties", {})
        return {path} if not inner else {name for key, each in inner.items() for name in names(each, f"{path}.{key}")}

    def keys(value: object, path: str = "") -> set[str]:
        if isinstance(value, dict) and value and path not in closed:
            return {name for key, each in value.items() for name in keys(each, f"{path}.{key}")}
        return {path}

    closed = names(schema)
    values = YAML(typ="safe").load(CHART / "values.yaml")
    known = {path for path in closed if not path.startswith(".settings.")} | {".settings"}
    assert keys(values) == known - {".global"} - {path for path in known if path.endswith(".resources.claims")}
