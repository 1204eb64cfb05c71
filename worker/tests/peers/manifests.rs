//! `docs/kubernetes/`: what Kubernetes and KEDA would say to it, and whether it fits the programs.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use serde_json::{Value, json};
use xtask::{free_port::free_port, http::Http, program::Program, wait};

use crate::python::Python;

const INGEST: &str = "ingest.yaml";
const WORKER: &str = "worker.yaml";
const SCALING: &str = "scaling.yaml";
const NETWORK: &str = "network.yaml";

/// The files, and what the validator says to each.
struct Manifests {
    python: &'static Python,
    texts: BTreeMap<String, String>,
    verdicts: BTreeMap<String, Value>,
}

impl Manifests {
    /// Read and validated once: the schemas are large.
    fn present() -> Option<&'static Self> {
        static MANIFESTS: OnceLock<Manifests> = OnceLock::new();
        let python = Python::present()?;
        Some(MANIFESTS.get_or_init(|| Self::read(python)))
    }

    fn read(python: &'static Python) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubernetes");
        let texts: BTreeMap<String, String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        let verdicts = validate(python, &texts.values().cloned().collect::<Vec<_>>());
        let verdicts = texts.keys().cloned().zip(verdicts).collect();
        Self {
            python,
            texts,
            verdicts,
        }
    }

    fn object(&self, file: &str, kind: &str, name: &str) -> &Value {
        let mut objects = self.verdicts[file]["objects"].as_array().unwrap().iter();
        objects
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("no {kind} {name} in {file}"))
    }

    /// Of both programs: its name, its Deployment's pod, and the pod's only container.
    fn programs(&self) -> [(&'static str, &Value, &Value); 2] {
        [("ingest", INGEST), ("worker", WORKER)].map(|(name, file)| {
            let deployment = self.object(file, "Deployment", &format!("clerk-{name}"));
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
            (name, pod, &pod["containers"][0])
        })
    }
}

fn validate(python: &Python, texts: &[String]) -> Vec<Value> {
    let verdicts = python.ask("manifest_validator.py", &json!(texts));
    verdicts.as_array().unwrap().clone()
}

/// The value of a setting.
fn setting<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let mut settings = container["env"].as_array()?.iter();
    settings.find(|setting| setting["name"] == name)?["value"].as_str()
}

fn port(container: &Value, name: &str) -> u64 {
    let mut ports = container["ports"].as_array().unwrap().iter();
    let port = ports.find(|port| port["name"] == name).unwrap();
    port["containerPort"].as_u64().unwrap()
}

#[test]
fn every_manifest_is_what_the_schemas_of_kubernetes_and_keda_ask_for() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let files: Vec<&String> = manifests.verdicts.keys().collect();
    assert_eq!(files, [INGEST, NETWORK, SCALING, WORKER]);
    for (file, verdict) in &manifests.verdicts {
        assert_eq!(verdict["errors"], json!([]), "{file}");
        assert!(verdict["objects"].as_array().unwrap().len() > 1, "{file}");
    }
}

#[test]
fn a_field_that_is_misspelt_misplaced_missing_or_of_another_type_is_refused() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let defects = [
        (INGEST, "readinessProbe:", "readynessProbe:"),
        (INGEST, "maxUnavailable: 0", "maxUnavailable: {}"),
        (INGEST, "seconds: 10", "duration: 10"),
        (INGEST, "runAsNonRoot: true", "runAsNonRoot: sometimes"),
        (INGEST, "targetPort: webhooks", "targetPorts: webhooks"),
        (WORKER, "drop: [ALL]", "drop: ALL"),
        (WORKER, "selector:", "selectors:"),
        (WORKER, "policy/v1", "policy/v1beta7"),
        (NETWORK, "policyTypes:", "policies:"),
        (SCALING, "maxReplicaCount: 8", "maxReplicaCount: many"),
        (SCALING, "triggers:", "trigger:"),
        (SCALING, "- type: redis-streams", "- kind: redis-streams"),
        (SCALING, "secretTargetRef:", "secretTargetRefs:"),
    ];
    let wrong = defects.map(|(file, right, wrong)| {
        let text = &manifests.texts[file];
        assert!(text.contains(right), "{file}: {right}");
        text.replace(right, wrong)
    });
    let verdicts = validate(manifests.python, &wrong);
    for ((file, _, wrong), verdict) in defects.iter().zip(verdicts) {
        assert_ne!(verdict["errors"], json!([]), "{file}: {wrong}");
    }
}

/// A setting whose name is misspelt would be overlooked.
#[test]
fn every_setting_of_the_manifests_is_one_of_the_programs() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    for (name, _, container) in manifests.programs() {
        let help = Program::run(name, &["--help"], &[]).unwrap().stdout;
        let help = String::from_utf8(help).unwrap();
        let settings = container["env"].as_array().unwrap();
        assert!(!settings.is_empty());
        for setting in settings {
            let setting = setting["name"].as_str().unwrap();
            assert!(help.contains(&format!("[env: {setting}]")), "{setting}");
        }
    }
}

/// A value that cannot be used ends a program at once (P12), and a path that it does not know is
/// answered 404.
#[tokio::test]
async fn the_programs_take_the_values_of_the_manifests_and_answer_the_probes() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let address = || format!("127.0.0.1:{}", free_port().unwrap());
    for (name, _, container) in manifests.programs() {
        let (admin, webhooks) = (address(), address());
        let mut settings = HashMap::from([
            (
                "CLERK_WEBHOOK_SIGNING_SECRET",
                "whsec_0123456789abcdef0123456789abcdef",
            ),
            ("DATABASE_URL", "postgres://clerk@127.0.0.1:1/clerk"),
            ("REDIS_URL", "redis://127.0.0.1:1"),
        ]);
        let manifest = container["env"].as_array().unwrap().iter();
        settings.extend(
            manifest.filter_map(|setting| {
                Some((setting["name"].as_str()?, setting["value"].as_str()?))
            }),
        );
        // The ports of the manifest may be taken here.
        settings.insert("ADMIN_ADDR", &admin);
        settings.insert("INGEST_ADDR", &webhooks);
        let settings: Vec<(&str, &str)> = settings.into_iter().collect();
        let program = Program::start(name, &settings).unwrap();

        let status = async |probe: &str| {
            let path = container[probe]["httpGet"]["path"].as_str().unwrap();
            let answer = Http::new().get(&format!("http://{admin}{path}")).await;
            answer.ok().map(|answer| answer.status)
        };
        wait::until("it is alive", Duration::from_secs(30), async || {
            status("livenessProbe").await == Some(200)
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {name}: {}", program.output()));
        // There are no stores.
        assert_eq!(status("readinessProbe").await, Some(503), "{name}");
    }
}

#[test]
fn ports_of_the_manifests_are_those_that_the_programs_listen_on() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    for (name, _, container) in manifests.programs() {
        let admin = port(container, "admin");
        assert_eq!(
            setting(container, "ADMIN_ADDR"),
            Some(format!("0.0.0.0:{admin}").as_str()),
            "{name}"
        );
        for probe in ["readinessProbe", "livenessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "admin", "{name}");
        }
        assert_eq!(
            container["readinessProbe"]["httpGet"]["path"], "/readyz",
            "{name}"
        );
        assert_eq!(
            container["livenessProbe"]["httpGet"]["path"], "/healthz",
            "{name}"
        );
        let network = manifests.object(NETWORK, "NetworkPolicy", &format!("clerk-{name}"));
        let open: Vec<u64> = network["spec"]["ingress"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].as_u64().unwrap())
            .collect();
        let mut ports: Vec<u64> = container["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["containerPort"].as_u64().unwrap())
            .collect();
        ports.sort_unstable();
        assert_eq!(open, ports, "{name}");
    }
    let [(_, _, ingest), _] = manifests.programs();
    let webhooks = port(ingest, "webhooks");
    assert_eq!(
        setting(ingest, "INGEST_ADDR"),
        Some(format!("0.0.0.0:{webhooks}").as_str())
    );
    let service = manifests.object(INGEST, "Service", "clerk-ingest");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "webhooks");
}

/// P10: the kubelet kills nothing before its grace period is over.
#[test]
fn a_pod_may_take_longer_to_go_than_its_program_does() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    for (name, pod, container) in manifests.programs() {
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        assert_eq!(before.is_some(), name == "ingest");
        let grace = setting(container, "SHUTDOWN_GRACE_MS").unwrap();
        let grace = grace.parse::<u64>().unwrap() / 1000;
        let allowed = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(before.unwrap_or_default() + grace + 5 <= allowed, "{name}");
    }
}

/// Nothing that a program does not need.
#[test]
fn a_pod_is_not_root_writes_nothing_and_has_no_token() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
    let dockerfile = fs::read_to_string(dockerfile).unwrap();
    for (name, pod, container) in manifests.programs() {
        let user = &pod["securityContext"];
        assert_eq!(user["runAsNonRoot"], true, "{name}");
        let line = format!("USER {}:{}\n", user["runAsUser"], user["runAsGroup"]);
        assert!(dockerfile.contains(&line), "{name}: {line}");
        assert_eq!(user["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(
            container["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            }),
            "{name}"
        );
        // A ConfigMap is read-only, whatever its mount says.
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        for volume in volumes {
            assert!(volume["configMap"].is_object(), "{name}: {volume}");
        }
    }
}

/// The page says how to make the ConfigMap, and the worker must find it where that says.
#[test]
fn the_tables_file_need_not_be_there_and_is_mounted_where_its_path_says() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let [_, (_, pod, worker)] = manifests.programs();
    let [volume] = pod["volumes"].as_array().unwrap().as_slice() else {
        panic!("one volume");
    };
    let [mount] = worker["volumeMounts"].as_array().unwrap().as_slice() else {
        panic!("one mount");
    };
    assert_eq!(mount["name"], volume["name"]);
    let mut settings = worker["env"].as_array().unwrap().iter();
    let setting = settings.find(|setting| setting["name"] == "TABLES_FILE");
    let reference = &setting.unwrap()["valueFrom"]["configMapKeyRef"];
    for source in [reference, &volume["configMap"]] {
        assert_eq!(source["name"], "clerk-tables");
        assert_eq!(source["optional"], true);
    }
    let page = include_str!("../../../docs/kubernetes.md");
    let folder = mount["mountPath"].as_str().unwrap();
    let key = reference["key"].as_str().unwrap();
    for part in [
        "create configmap clerk-tables ".to_owned(),
        "--from-file=users.toml ".to_owned(),
        format!("--from-literal={key}={folder}/users.toml "),
    ] {
        assert!(page.contains(&part), "{part}");
    }
}

/// With a consumer group KEDA looks at what workers hold, and not at the length of the stream.
#[test]
fn workers_are_as_many_as_the_length_of_the_stream_asks_for() {
    let Some(manifests) = Manifests::present() else {
        return;
    };
    let scaling = manifests.object(SCALING, "ScaledObject", "clerk-worker");
    assert_eq!(scaling["spec"]["scaleTargetRef"]["name"], "clerk-worker");
    assert!(scaling["spec"]["minReplicaCount"].as_u64().unwrap() > 0);
    let [trigger] = scaling["spec"]["triggers"].as_array().unwrap().as_slice() else {
        panic!("one trigger for the one partition");
    };
    assert_eq!(trigger["type"], "redis-streams");
    let metadata = &trigger["metadata"];
    assert_eq!(metadata["stream"], "{clerk:0}:events");
    assert!(metadata["consumerGroup"].is_null());
    let length: u64 = metadata["streamLength"].as_str().unwrap().parse().unwrap();
    // What a busy worker holds: two batches that it works on and the next one.
    assert!(length > 3 * 256);
    let worker = manifests.object(WORKER, "Deployment", "clerk-worker");
    assert!(worker["spec"]["replicas"].is_null());
}
