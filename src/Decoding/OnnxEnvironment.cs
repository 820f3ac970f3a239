using Microsoft.ML.OnnxRuntime;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding;

/// <summary>
/// Creates ONNX Runtime's environment, of which a process has one, with a thread pool that all sessions share. Members run one after another: with a
/// pool for each, threads of the last one would spin on the cores that the next one needs. The first caller decides the number of threads.
/// </summary>
/// <remarks>
/// The first <see cref="SessionOptions"/>, or onnxruntime-genai in native code, would create the environment without such a pool, and the latter
/// cannot be detected. So <see cref="EnsureCreated"/> must be called before both.
/// </remarks>
internal static class OnnxEnvironment
{
    private static readonly Lock CreationLock = new();
    private static bool? isPoolShared;

    /// <param name="threads">Threads of the pool, including the caller's; 0 takes the number of processors.</param>
    /// <returns>Whether sessions share a pool; false if other code in the process created the environment without one.</returns>
    public static bool EnsureCreated(int threads = 0)
    {
        lock (CreationLock)
        {
            return isPoolShared ??= !OrtEnv.IsCreated && Create(threads == 0 ? Environment.ProcessorCount : threads);
        }
    }

    /// <param name="isAlone">Whether the session runs only a few times, on the caller's thread, without packing weights.</param>
    /// <exception cref="EngineException">InvalidValue when the execution provider is unknown or missing.</exception>
    public static SessionOptions CreateSessionOptions(EngineOptions options, bool isAlone = false)
    {
        bool isPoolShared = EnsureCreated(options.Threads);
        SessionOptions session = new()
        {
            // ONNX Runtime keeps a pattern for each input shape, and the shapes grow with every token.
            EnableMemoryPattern = false,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        if (isAlone)
        {
            session.IntraOpNumThreads = 1;
            session.AddSessionConfigEntry("session.disable_prepacking", "1");
        }
        else if (isPoolShared)
        {
            session.DisablePerSessionThreads();
        }
        else
        {
            session.IntraOpNumThreads = options.Threads;
        }

        switch (options.ExecutionProvider)
        {
            case "cpu":
                break;
            case "cuda" when OrtEnv.Instance().GetAvailableProviders().Contains("CUDAExecutionProvider"):
                AppendCuda(session);
                break;
            default:
                throw new EngineException(
                    EngineError.InvalidValue,
                    $"Execution provider '{options.ExecutionProvider}' is not available; it must be cpu, or cuda in a build with -p:Accelerator=cuda. " +
                    $"ONNX Runtime offers {string.Join(", ", OrtEnv.Instance().GetAvailableProviders())}.",
                    nameof(EngineOptions.ExecutionProvider));
        }

        return session;
    }

    private static void AppendCuda(SessionOptions session)
    {
        try
        {
            session.AppendExecutionProvider_CUDA();
        }
        catch (OnnxRuntimeException e)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"Execution provider 'cuda' cannot start: {e.Message}. It needs a GPU and the CUDA and cuDNN libraries that this ONNX Runtime was built with; cpu needs nothing.",
                nameof(EngineOptions.ExecutionProvider),
                e);
        }
    }

    private static bool Create(int threads)
    {
        using OrtThreadingOptions pool = new() { GlobalIntraOpNumThreads = threads, GlobalInterOpNumThreads = 1 };
        EnvironmentCreationOptions creation = new()
        {
            logId = "proxytune",
            logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            threadOptions = pool,
        };
        OrtEnv.CreateInstanceWithOptions(ref creation);
        return true;
    }
}
