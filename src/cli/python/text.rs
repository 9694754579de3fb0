//! Words and numbers as Python reads them.

use elbo::checkpoint::State;

/// Attention as a function of its queries, keys and values.
pub(super) const ATTEND: &str = "\
def attend(x, heads):
    \"\"\"What the places of a map attend to, of its queries, keys and values (n, 3 · channels, height, width).\"\"\"
    q, k, v = x.unflatten(1, (3, heads, -1)).flatten(4).transpose(3, 4).unbind(1)
    made = F.scaled_dot_product_attention(q, k, v)
    return made.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])


";

/// The product of two normals as a function.
pub(super) const MERGE: &str = "\
def merge(mean, log_var, other_mean, other_log_var):
    \"\"\"The mean and the log-variance of the normal that is the product of two.\"\"\"
    share = torch.sigmoid(other_log_var - log_var)
    return share * mean + (1 - share) * other_mean, log_var + share.log()


";

/// A text as a literal in double quotes on one line, whatever is in it.
pub(super) fn literal(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written += "\\n",
            '\r' => written += "\\r",
            '\t' => written += "\\t",
            // What some editors and Python's own `splitlines` take for the end of a line, and what cannot be seen.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') =>
            {
                written += &format!("\\U{:08x}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written + "\""
}

/// A number that is finite.
pub(super) fn float(value: f32) -> String {
    format!("{value:?}")
}

/// What a file begins with: what it is, and how its class gets its weights.
pub(super) fn head(state: &State, name: &str) -> String {
    let (model, size) = (&state.config.model, state.size);
    let kind = match model.posterior.is_density() {
        true => "variational autoencoder (Kingma and Welling 2014)",
        false => "plain autoencoder",
    };
    let variable = name.to_lowercase();
    let (classes, told) = match model.classes {
        0 => (String::new(), ""),
        n => (
            format!(
                "\nClasses y (n, {n}) have a 1 in the column of the class, as `F.one_hot(labels, {n}).float()`."
            ),
            ", y",
        ),
    };
    let use_of = match model.posterior.is_density() {
        true => format!("mean, log_var = {variable}.encode(images.flatten(1){told})"),
        false => format!("z = {variable}.encode(images.flatten(1){told})"),
    };
    let new = match state.config.check_prior() {
        Ok(()) if !model.prior_is_standard() => {
            format!("    new = {variable}.decode({variable}.sample(16){told})\n")
        }
        Ok(()) => {
            format!("    new = {variable}.decode(torch.randn(16, {variable}.latent){told})\n")
        }
        Err(_) => String::new(),
    };
    format!(
        "\"\"\"A {kind} for images of {size}, after {} training steps.\n\n\
         Written by elbo {}. Save it as model.py, and its weights with\n\n    \
         elbo export RUN --out weights.safetensors\n\n\
         Then, with the packages torch and safetensors:\n\n    \
         import torch, safetensors.torch\n    \
         from model import {name}\n\n    \
         {variable} = {name}()\n    \
         {variable}.load_state_dict(safetensors.torch.load_file(\"weights.safetensors\"))\n    \
         {variable}.eval()\n    \
         {use_of}\n{new}\n\
         A row is an image (height, width, channels) that was flattened.{classes}\n\"\"\"\n",
        state.trained.step,
        env!("CARGO_PKG_VERSION"),
    )
}
