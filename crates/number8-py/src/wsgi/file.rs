//! `wsgi.file_wrapper`: a file as content, which the system sends where it is one of the system's.

use number8::Body;
use number8::store::File;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::sys;

/// Bytes that are read at once where a file has to be read.
const BLOCK_BYTES: usize = 8192;

/// Anything with `read`, as an iterable of its blocks.
#[pyclass(frozen, module = "number8")]
pub(super) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

/// An open file, from where it is to be sent.
pub(super) struct Opened {
    file: File,
    start: u64,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=BLOCK_BYTES))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { filelike, blksize }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.filelike.bind(py).call_method1("read", (self.blksize,))?;
        Ok(if block.is_truthy()? { Some(block) } else { None })
    }

    /// Closes the file, if that can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.filelike.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}

impl FileWrapper {
    /// The file beneath, from where it stands; `None` where what is read is not what is in a file, or not a regular one.
    pub(super) fn file(&self, py: Python<'_>) -> Option<Opened> {
        let filelike = self.filelike.bind(py);
        // Others may give something else than what their descriptor stands for, such as what is compressed in it.
        is_plain(filelike).ok().filter(|is_plain| *is_plain)?;
        let number = filelike.call_method0("fileno").ok()?.extract().ok()?;
        let start = filelike.call_method0("tell").ok()?.extract().ok()?;
        let file = File::adopt(sys::duplicate(number).ok()?).ok()?;
        (start <= file.meta().size).then_some(Opened { file, start })
    }
}

fn is_plain(filelike: &Bound<'_, PyAny>) -> PyResult<bool> {
    let io = filelike.py().import("io")?;
    let class = filelike.get_type();
    for name in ["BufferedReader", "FileIO", "BufferedRandom"] {
        if class.is(io.getattr(name)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Opened {
    /// What is left of the file, or as much of it as the application announces.
    pub(super) fn content(self, length: Option<u64>) -> Body {
        let left = self.file.meta().size - self.start;
        let length = length.map_or(left, |length| length.min(left));
        Body::file_part(self.file, self.start..self.start + length)
    }
}

/// The wrapper that an application returned.
pub(super) fn wrapper<'py>(returned: &Bound<'py, PyAny>) -> Option<Bound<'py, FileWrapper>> {
    returned.cast::<FileWrapper>().ok().cloned()
}

/// Offers the wrapper to applications.
pub(super) fn offer(template: &Bound<'_, PyDict>) -> PyResult<()> {
    let class: Bound<'_, PyType> = template.py().get_type::<FileWrapper>();
    template.set_item("wsgi.file_wrapper", class)
}
