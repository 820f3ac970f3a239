using Microsoft.ML.OnnxRuntime;

using ProxyTune.Decoding.Catalog;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// ONNX Runtime's one environment per process, made with a thread pool that all sessions share: members run one after another, and a pool
/// each would have idle threads compete for the cores. The first caller's number of threads holds.
/// </summary>
internal static class OnnxEnvironment
{
    private static readonly Lock Gate = new();
    private static bool? hasSharedPool;

    /// <exception cref="EngineException">InvalidValue when the execution provider is unknown or missing.</exception>
    public static SessionOptions CreateSessionOptions(EngineOptions options)
    {
        SessionOptions session = new()
        {
            // Patterns are remembered per input shape, and the shapes grow with every token.
            EnableMemoryPattern = false,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        if (HasSharedPool(options.Threads))
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

    private static bool HasSharedPool(int threads)
    {
        lock (Gate)
        {
            if (hasSharedPool is null)
            {
                // Somebody else in the process may have made the environment, without a shared pool.
                hasSharedPool = !OrtEnv.IsCreated;
                if (hasSharedPool.Value)
                {
                    using OrtThreadingOptions pool = new() { GlobalIntraOpNumThreads = threads, GlobalInterOpNumThreads = 1 };
                    EnvironmentCreationOptions creation = new()
                    {
                        logId = "proxytune",
                        logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
                        threadOptions = pool,
                    };
                    OrtEnv.CreateInstanceWithOptions(ref creation);
                }
            }

            return hasSharedPool.Value;
        }
    }
}
