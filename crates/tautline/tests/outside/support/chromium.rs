//! A real browser: Chromium, driven by its own driver.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::TypingData;
use thirtyfour::prelude::*;

use super::Process;

/// How long a page may take to show something. A bound for when it never comes, not a measure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with a profile of its own.
pub struct Chromium {
    pub driver: WebDriver,
    profile: TempDir,
    _process: Process,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub name: &'static str,
    pub dark: bool,
    pub width: u32,
}

/// Both themes, and a phone.
pub const LOOKS: [Look; 3] = [
    Look { name: "light", dark: false, width: 1280 },
    Look { name: "dark", dark: true, width: 1280 },
    Look { name: "phone", dark: false, width: 390 },
];

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").current_dir(profile.path());
        let process = Process::start(&mut command);
        let started = process.wait_for("started successfully on port");
        let port = started.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        let mut capabilities = DesiredCapabilities::chrome();
        let folder = format!("--user-data-dir={}", profile.path().display());
        // In containers there is often no other user to be, and no room in /dev/shm.
        for argument in
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", &folder]
        {
            capabilities.add_arg(argument).unwrap();
        }
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.unwrap();
        let chromium = Self { driver, profile, _process: process };
        chromium.look(LOOKS[0]).await;
        chromium
    }

    /// Theme and width.
    pub async fn look(&self, look: Look) {
        let theme = if look.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
        let mobile = look.width < 600;
        let size = json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    pub async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    pub async fn url(&self) -> String {
        self.driver.current_url().await.unwrap().to_string()
    }

    /// What stands on the page.
    pub async fn text(&self) -> String {
        self.driver.find(By::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Waits until this stands on the page.
    pub async fn wait_for(&self, text: &str) {
        let path = format!("//*[contains(normalize-space(.), {})]", quoted(text));
        self.find(By::XPath(path)).await;
    }

    /// Waits until the address contains this.
    pub async fn wait_for_url(&self, part: &str) {
        let there = async || self.url().await.contains(part).then_some(());
        super::eventually(&format!("an address with {part}"), there).await;
    }

    async fn find(&self, by: By) -> WebElement {
        let wanted = format!("{by:?}");
        let query = self.driver.query(by).wait(PATIENCE, Duration::from_millis(50));
        match query.first().await {
            Ok(element) => element,
            Err(error) => panic!("no {wanted}: {error}\non {}:\n{}", self.url().await, self.text().await),
        }
    }

    /// Waits until there are so many.
    pub async fn find_all(&self, css: &str, count: usize) {
        let there = async || {
            let found = self.driver.find_all(By::Css(css)).await.unwrap();
            (found.len() >= count).then_some(())
        };
        super::eventually(&format!("{count} of {css}"), there).await;
    }

    /// The element at a CSS selector.
    pub async fn element(&self, css: &str) -> WebElement {
        self.find(By::Css(css)).await
    }

    /// Follows a link, presses a button or opens a fold, by its text. (Pages that renew themselves may take an
    /// element away between the look and the click; then it is looked for again.)
    pub async fn press(&self, text: &str) {
        let text = quoted(text);
        let path = format!("//*[self::a or self::button or self::summary][normalize-space(.) = {text}]");
        self.click(By::XPath(path)).await;
    }

    pub async fn click(&self, by: By) {
        for _ in 0..20 {
            match self.find(by.clone()).await.click().await {
                Ok(()) => return,
                // The driver's two ways to say that the element has gone.
                Err(error) if error.to_string().contains("stale") => {}
                Err(error) if error.to_string().contains("does not belong to the document") => {}
                Err(error) => panic!("cannot click {by:?}: {error}"),
            }
        }
        panic!("{by:?} never stays");
    }

    /// Chooses from a menu, and says so.
    pub async fn choose(&self, menu: &str, option: &str) {
        let menu = format!("//select[starts-with(@aria-label, '{menu}')]");
        self.click(By::XPath(format!("{menu}/option[.='{option}']"))).await;
        self.click(By::XPath(format!("{menu}/following-sibling::button"))).await;
    }

    /// Types into a field, in place of what is there.
    pub async fn type_into(&self, css: &str, text: &str) {
        for _ in 0..20 {
            let field = self.element(css).await;
            let typed = async {
                field.clear().await?;
                field.send_keys(text).await
            };
            match typed.await {
                Ok(()) => return,
                Err(error) if error.to_string().contains("stale") => {}
                Err(error) => panic!("cannot type into {css}: {error}"),
            }
        }
        panic!("{css} never stays");
    }

    /// Presses keys wherever the focus is.
    pub async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses Tab until the focus is on an element whose attribute contains this.
    pub async fn tab_to(&self, attribute: &str, part: &str) {
        for _ in 0..80 {
            self.keys(Key::Tab).await;
            if self.is_on(attribute, part).await {
                return;
            }
        }
        panic!("Tab never comes to {attribute} {part:?} on {}", self.url().await);
    }

    /// Waits until the focus is there by itself.
    pub async fn wait_for_focus(&self, attribute: &str, part: &str) {
        let there = async || self.is_on(attribute, part).await.then_some(());
        super::eventually(&format!("the focus on {attribute} {part:?}"), there).await;
    }

    async fn is_on(&self, attribute: &str, part: &str) -> bool {
        let Ok(focused) = self.driver.active_element().await else { return false };
        focused.attr(attribute).await.is_ok_and(|value| value.is_some_and(|value| value.contains(part)))
    }

    /// Keeps a picture among the build's artefacts.
    pub async fn screenshot(&self, name: &str) {
        let folder = screenshots();
        std::fs::create_dir_all(&folder).unwrap();
        self.driver.screenshot(&folder.join(format!("{name}.png"))).await.unwrap();
    }

    /// What axe finds on the page that is serious or worse.
    pub async fn serious_faults(&self) -> Vec<String> {
        let axe =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules/axe-core/axe.min.js");
        let source = std::fs::read_to_string(&axe).unwrap_or_else(|error| {
            panic!("{}: {error}; cargo xtask setup installs it", axe.display());
        });
        self.driver.execute(source, vec![]).await.unwrap();
        let run = "const done = arguments[arguments.length - 1]; \
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations));";
        let found = self.driver.execute_async(run, vec![]).await.unwrap();
        let found: Vec<Value> = found.convert().unwrap();
        let serious =
            found.iter().filter(|fault| fault["impact"] == "serious" || fault["impact"] == "critical");
        let told = |fault: &Value| {
            let nodes = fault["nodes"].as_array().into_iter().flatten();
            let nodes = nodes.map(|node| format!("{} ({})", node["html"], node["failureSummary"]));
            format!("{}: {}: {}", fault["id"], fault["help"], nodes.collect::<Vec<_>>().join("; "))
        };
        serious.map(told).collect()
    }

    /// Closes it. (Whoever forgets is tidied up after.)
    pub async fn close(self) {
        self.driver.clone().quit().await.unwrap();
    }
}

/// Where pictures are kept.
pub fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}

fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its own farewell would wait for a browser that is about to go.
        let _ = self.driver.clone().leak();
        // The driver does not always take the browser with it. All of its processes name the profile.
        let profile = self.profile.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&profile) {
                let _ = Command::new("kill")
                    .arg("-KILL")
                    .arg(entry.file_name())
                    .stderr(std::process::Stdio::null())
                    .status();
            }
        }
    }
}
